#include "neighbourhood/devices.h"

#include <fmt/core.h>

#include <cstdlib>
#include <map>

#include "base/files.h"

namespace nora::neighbourhood {

const Device* find_device(std::string_view id) {
  for (const auto& d : devices)
    if (d.id == id) return &d;
  return nullptr;
}

namespace {

namespace fs = std::filesystem;
using Services = std::vector<Service>;

// The kit of one device: writes files into its directory and makes commands in its namespace.
class Kit {
 public:
  Kit(const Device& device, const DeviceFiles& files) : device_(device), files_(files) {}

  Status file(const std::string& name, std::string_view text) {
    std::error_code ec;
    fs::create_directories((files_.directory / name).parent_path(), ec);
    NORA_CHECK(replace_file(files_.directory / name, text));
    return {};
  }
  std::string path(const std::string& name) const { return (files_.directory / name).string(); }
  std::string shared(const std::string& name) const { return (files_.shared / name).string(); }
  const std::string helper() const { return files_.helper.string(); }
  const Device& device() const { return device_; }
  // sk-mape answers behind the shared address: its server binds the inside one.
  std::string v4() const { return std::string(device_.id == "sk-mape" ? plan::mape_inside : device_.v4); }

  Command command(std::vector<std::string> argv, const std::string& log) const {
    Command c;
    c.argv = std::move(argv);
    c.netns = device_.id;
    c.hostname = device_.hostname;
    c.directory = files_.directory;
    c.log = files_.directory / (log + ".log");
    return c;
  }
  Service root(std::string name, std::vector<std::string> argv, std::vector<std::string> ready) const {
    return {name, command(std::move(argv), name), std::move(ready), {}};
  }
  Service user(std::string name, std::vector<std::string> argv, std::vector<std::string> ready) const {
    auto s = root(std::move(name), std::move(argv), std::move(ready));
    s.command.plain_user = true;
    return s;
  }

  // A page served by lighttpd with a Server header of our choice.
  Result<Service> page(std::string_view title, std::string_view server, std::string_view body, int port = 80, std::string_view more = {}) {
    NORA_CHECK(file("www/index.html", fmt::format("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{}</title></head>\n<body>{}</body></html>\n",
                                                  title, body)));
    std::string config = fmt::format("server.document-root=\"{}\"\nserver.bind=\"{}\"\nserver.port={}\nserver.tag=\"{}\"\nindex-file.names=(\"index.html\")\n"
                                     "mimetype.assign=(\".html\"=>\"text/html; charset=utf-8\")\nserver.max-worker=0\nserver.event-handler=\"poll\"\n{}",
                                     path("www"), v4(), port, server, more);
    if (!device_.v6.empty()) config += fmt::format("$SERVER[\"socket\"] == \"[{}]:{}\" {{ {} }}\n", device_.v6, port, more.empty() ? "" : "ssl.engine=\"enable\"");
    NORA_CHECK(file("lighttpd.conf", config));
    return user("http", {"lighttpd", "-D", "-f", path("lighttpd.conf")}, {fmt::format("tcp/{}", port)});
  }
  // An admin page that asks for a password: its realm names the product. Nobody ever answers it.
  Result<Service> realm(std::string_view text) {
    NORA_CHECK(file("www/index.html", "<html><title>admin</title></html>\n"));
    NORA_CHECK(file("auth.conf", "/:admin:$1$nobody$nobody.ever.logs.in.\n"));
    // busybox httpd listens on the IPv6 wildcard, so it serves both families.
    return user("http", {"busybox", "httpd", "-f", "-p", "80", "-h", path("www"), "-r", std::string(text), "-c", path("auth.conf")}, {"tcp/80"});
  }
  Result<Service> telnet(std::string_view issue) {
    NORA_CHECK(file("issue", std::string(issue) + "\n"));
    return user("telnet", {"busybox", "telnetd", "-F", "-p", "23", "-b", v4(), "-f", path("issue"), "-l", shared("login")}, {"tcp/23"});
  }

 private:
  const Device& device_;
  const DeviceFiles& files_;
};

Result<Services> two(Result<Service> a, Result<Service> b) {
  if (!a) return pass(a.error());
  if (!b) return pass(b.error());
  Services out;
  out.push_back(std::move(*a));
  out.push_back(std::move(*b));
  return out;
}

Result<Services> ssh_router(Kit& k) {
  std::string v4 = k.v4() + ":22", v6 = fmt::format("[{}]:22", k.device().v6);
  auto ssh = k.user("ssh", {k.shared("dropbear"), "-F", "-E", "-r", k.shared("hostkey"), "-P", k.path("dropbear.pid"), "-p", v4, "-p", v6}, {"tcp/22"});
  NORA_TRY(auto services, two(std::move(ssh), k.realm("BUFFALO WHR-HP-G300N")));
  // Its certificate shows that the addresses of both families are one device.
  auto more = fmt::format("server.modules=(\"mod_openssl\")\nssl.engine=\"enable\"\nssl.pemfile=\"{}\"\n", k.shared("router.pem"));
  NORA_TRY(auto https, k.page("WHR-HP-G300N", "AirStation", "<h1>AirStation</h1><p>WHR-HP-G300N</p>", 443, more));
  https.name = "https";
  services.push_back(std::move(https));
  return services;
}

Result<Services> resolver(Kit& k) {
  auto dns = k.user("dns", {"dnsmasq", "-k", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--listen-address=" + k.v4(), "--bind-interfaces",
                            "--address=/#/192.0.2.80", "--port=53", "--pid-file=", "--user=", "--group="},
                    {"udp/53", "tcp/53"});
  return two(std::move(dns), k.page("ELECOM WRC-1167GST2 管理画面", "httpd/1.06", "<h1>WRC-1167GST2</h1><p>Firmware 1.06</p>"));
}

Result<Services> time_server(Kit& k) {
  NORA_CHECK(k.file("ntp.conf", fmt::format("restrict default noquery\nrestrict 192.0.2.0 mask 255.255.255.0\nrestrict 203.0.113.0 mask 255.255.255.0\nserver 127.127.1.0\nfudge 127.127.1.0 stratum 10\ndriftfile {}\n", k.path("drift"))));
  // A bare "restrict default" answers no mode 6 at all; a network without flags does. ntpd insists on being root.
  auto ntp = k.root("ntp", {"ntpd", "-n", "-N", "-g", "-c", k.path("ntp.conf"), "-I", k.v4()}, {"udp/123"});
  return two(std::move(ntp), k.page("TS-2560 NTP Server", "SEIKO-TS", "<h1>TS-2560</h1><p>Seiko Solutions Inc.</p>"));
}

Result<Services> web_proxy(Kit& k) {
  NORA_CHECK(k.file("tinyproxy.conf", fmt::format("Port 8080\nListen {}\nMaxClients 20\nTimeout 30\nAllow 0.0.0.0/0\nLogFile \"{}\"\nPidFile \"{}\"\n"
                                                  "ViaProxyName \"openblocks-vx2\"\n", k.v4(), k.path("tinyproxy.txt"), k.path("tinyproxy.pid"))));
  return two(k.user("proxy", {"tinyproxy", "-d", "-c", k.path("tinyproxy.conf")}, {"tcp/8080"}),
             k.page("OpenBlocks IoT VX2", "nginx", "<h1>OpenBlocks IoT VX2</h1><p>Plat'Home Co., Ltd.</p>"));
}

Result<Services> upnp_gateway(Kit& k) {
  NORA_CHECK(k.file("miniupnpd.conf",
                    fmt::format("ext_ifname=eth0\nlistening_ip=203.0.113.45/2\nhttp_port=5000\nenable_natpmp=yes\nenable_upnp=yes\n"
                                "uuid=00000000-0000-4000-8000-000000000045\nfriendly_name=Aterm WG1200HP4\nmodel_name=Aterm WG1200HP4\nmodel_number=1.5.1\n"
                                "manufacturer_name=NEC Platforms, Ltd.\nmanufacturer_url=http://aterm.example/\nserial=00000045\nsecure_mode=yes\nlease_file={}\n"
                                "allow 1024-65535 0.0.0.0/0 1024-65535\n", k.path("leases"))));
  // The mask is the fault of this gateway: it takes half of the internet for its LAN and answers it (a mask of the real size closes
  // the connection). Needs CAP_NET_ADMIN (it drives nftables), which root has in the device's namespace.
  Services out;
  out.push_back(k.root("upnp", {"miniupnpd", "-d", "-f", k.path("miniupnpd.conf"), "-P", k.path("miniupnpd.pid")}, {"udp/1900", "tcp/5000", "udp/5351"}));
  return out;
}

Result<Services> camera(Kit& k) {
  auto rtsp = k.user("rtsp", {k.helper(), "rtsp-camera", k.v4(), "554"}, {"tcp/554"});
  rtsp.command.env = {"GST_PLUGIN_SYSTEM_PATH_1_0=" + k.shared("gst"), "GST_PLUGIN_PATH_1_0=", "GST_REGISTRY=" + k.path("gst-registry"), "GST_REGISTRY_FORK=no",
                      "HOME=" + k.path("")};
  return two(std::move(rtsp), k.page("BB-HCM715 Network Camera", "Panasonic Network Camera", "<h1>BB-HCM715</h1><p>Network Camera</p>"));
}

Result<Services> tls_storage(Kit& k) {
  auto more = fmt::format("server.modules=(\"mod_openssl\")\nssl.engine=\"enable\"\nssl.pemfile=\"{}\"\n", k.shared("maker.pem"));
  NORA_TRY(auto http, k.page("LAN DISK HDL2-AA", "LANDISK/1.13", "<h1>LAN DISK</h1><p>HDL2-AA Firmware 1.13</p>", 443, more));
  Services out;
  out.push_back(std::move(http));
  return out;
}

Result<Services> storage(Kit& k) {
  NORA_CHECK(k.file("ftp/readme.txt", "nothing here\n"));
  NORA_CHECK(k.file("vsftpd.conf", fmt::format("listen=YES\nlisten_address={}\nlisten_port=21\nanonymous_enable=YES\nbackground=NO\nftpd_banner=Buffalo LinkStation LS220D FTP\n"
                                               "secure_chroot_dir={}\nanon_root={}\nseccomp_sandbox=NO\nrun_as_launching_user=YES\nallow_writeable_chroot=YES\nftp_username=nobody\n",
                                               k.v4(), k.path("ftp"), k.path("ftp"))));
  return two(k.root("ftp", {"vsftpd", k.path("vsftpd.conf")}, {"tcp/21"}),
             k.page("LinkStation LS220D", "lighttpd/1.4.39", "<h1>LinkStation</h1><p>LS220D Firmware 1.84</p>"));
}

Result<Services> solar_monitor(Kit& k) {
  NORA_CHECK(k.file("mosquitto.conf", fmt::format("listener 1883 {}\nallow_anonymous true\n", k.v4())));
  return two(k.user("mqtt", {"mosquitto", "-c", k.path("mosquitto.conf")}, {"tcp/1883"}),
             k.page("SolarView Compact", "Apache", "<h1>SolarView Compact</h1><p>SV-CPT-MC310 Ver.6.00</p>"));
}

Result<Services> printer(Kit& k) {
  for (auto dir : {"cups/spool", "cups/cache", "cups/ssl", "cups/log"}) fs::create_directories(k.path(dir));
  NORA_CHECK(k.file("cups/www/index.html", "<html><head><title>Canon LBP6040</title></head><body><h1>LBP6040</h1></body></html>\n"));
  NORA_CHECK(k.file("cups/cupsd.conf", fmt::format("Listen {}:631\nListen 127.0.0.1:631\nServerTokens Full\nWebInterface Yes\nBrowsing No\nDefaultAuthType None\nLogLevel warn\nHostNameLookups Off\nServerAlias *\n"
                                                   "<Location />\nOrder allow,deny\nAllow all\n</Location>\n<Policy default>\n<Limit All>\nOrder allow,deny\nAllow all\n</Limit>\n</Policy>\n", k.v4())));
  NORA_CHECK(k.file("cups/cups-files.conf", fmt::format("SystemGroup root\nServerRoot {0}\nCacheDir {0}/cache\nStateDir {0}/cache\nRequestRoot {0}/spool\nTempDir {0}/spool\n"
                                                        "AccessLog {0}/log/access\nErrorLog {0}/log/error\nPageLog {0}/log/page\nServerKeychain {0}/ssl\nDocumentRoot {0}/www\nSandboxing relaxed\n", k.path("cups"))));
  NORA_CHECK(k.file("cups/printers.conf", "<DefaultPrinter LBP6040>\nUUID urn:uuid:00000000-0000-4000-8000-000000000015\nInfo Canon LBP6040\nLocation 2F\n"
                                          "MakeModel Canon LBP6040\nDeviceURI file:///dev/null\nState Idle\nAccepting Yes\nShared Yes\nJobSheets none none\n</DefaultPrinter>\n"));
  NORA_CHECK(k.file("cups/ppd/LBP6040.ppd",
                    "*PPD-Adobe: \"4.3\"\n*FormatVersion: \"4.3\"\n*FileVersion: \"1.0\"\n*LanguageVersion: English\n*LanguageEncoding: ISOLatin1\n*PCFileName: \"LBP6040.PPD\"\n"
                    "*Manufacturer: \"Canon\"\n*Product: \"(LBP6040)\"\n*ModelName: \"Canon LBP6040\"\n*ShortNickName: \"Canon LBP6040\"\n*NickName: \"Canon LBP6040\"\n"
                    "*PSVersion: \"(3010.000) 0\"\n*LanguageLevel: \"3\"\n*ColorDevice: False\n*DefaultColorSpace: Gray\n*OpenUI *PageSize/Media Size: PickOne\n*DefaultPageSize: A4\n"
                    "*PageSize A4/A4: \"<</PageSize[595 842]/ImagingBBox null>>setpagedevice\"\n*CloseUI: *PageSize\n*OpenUI *PageRegion: PickOne\n*DefaultPageRegion: A4\n"
                    "*PageRegion A4/A4: \"<</PageSize[595 842]/ImagingBBox null>>setpagedevice\"\n*CloseUI: *PageRegion\n*DefaultImageableArea: A4\n"
                    "*ImageableArea A4/A4: \"0 0 595 842\"\n*DefaultPaperDimension: A4\n*PaperDimension A4/A4: \"595 842\"\n"));
  Services out;
  // cupsd refuses to run as root with its data owned by it; as an ordinary user it changes no owner.
  out.push_back(k.user("ipp", {"cupsd", "-f", "-c", k.path("cups/cupsd.conf"), "-s", k.path("cups/cups-files.conf")}, {"tcp/631"}));
  return out;
}

Result<Services> energy_gateway(Kit& k) {
  auto coap = k.user("coap", {"coap-server-notls", "-A", k.v4(), "-p", "5683", "-d", "4"}, {"udp/5683"});
  // The resource's path is the only place where this server lets us put a product.
  coap.after_start.push_back(k.command({"coap-client-notls", "-B", "2", "-m", "put", "-e", "1", fmt::format("coap://{}/kinmirai/hems-gw1", k.v4())}, "coap-setup"));
  Services out;
  out.push_back(std::move(coap));
  return out;
}

Result<Services> operator_panel(Kit& k) {
  auto vnc = k.user("vnc", {"Xtigervnc", ":5", "-rfbport", "5900", "-interface", k.v4(), "-SecurityTypes", "None", "-geometry", "320x200", "-depth", "16", "-desktop", "GP4501TW",
                            "-BlacklistThreshold", "100000", "-nolisten", "local"}, {"tcp/5900"});
  vnc.command.private_tmp = true;  // its lock file
  return two(std::move(vnc), k.page("Pro-face GP4501TW", "GP-Web", "<h1>GP4501TW</h1>"));
}

Result<Services> snmp_router(Kit& k) {
  NORA_CHECK(k.file("snmpd.conf", "sysDescr RTX1200 Rev.10.01.78\nexactEngineID 0x8000049e0300005e005323\nsysName rtx1200\n"));
  auto snmp = k.user("snmp", {"snmpd", "-f", "-Lo", "-C", "-c", k.path("snmpd.conf"), "-p", k.path("snmpd.pid"), "udp:" + k.v4() + ":161"}, {"udp/161"});
  snmp.command.env = {"SNMP_PERSISTENT_DIR=" + k.path("snmp")};
  return two(std::move(snmp), k.realm("YAMAHA-RT RTX1200 Rev.10.01.78"));
}

Result<Services> unknown(Kit& k) {
  auto unit = std::string(k.device().id).substr(k.device().id.size() - 1);
  return two(k.telnet("** ctl console **"),
             k.page("Device Console", "lwsrv/0.9b", fmt::format("<h1>Device Console</h1><p>build 20190412-r3</p>\n<p>unit {}</p>", unit)));
}

Result<Services> controller(Kit& k) {
  return two(k.user("modbus", {k.helper(), "modbus-plc", k.v4(), "502"}, {"tcp/502"}),
             k.page("FX5U-32M 近未来ビル 空調監視", "FX5-WebServer",
                    "<h1>空調監視</h1><p>設置: 近未来ビル 3F 機械室</p><p>管理: 近未来ビル管理株式会社 (kanri@kinmirai.example)</p>"
                    "<p>保守: 保守の山田 (hoshu@yamada-hoshu.example)</p>"));
}

}  // namespace

Status prepare_shared(const fs::path& shared) {
  std::error_code ec;
  fs::create_directories(shared / "gst", ec);
  // The banner of dropbear is compiled in. A copy gets the text of an old release of the same length: the server stays genuine.
  NORA_TRY(auto program, read_file("/usr/sbin/dropbear"));
  constexpr std::string_view now = "SSH-2.0-dropbear_2022.83", then = "SSH-2.0-dropbear_2012.55";
  static_assert(now.size() == then.size());
  auto at = program.find(now);
  if (at == std::string::npos) return fail(Code::environment, "dropbear is not the release that the demo knows", "Adjust prepare_shared() in neighbourhood/devices.cc");
  program.replace(at, then.size(), then);
  NORA_CHECK(replace_file(shared / "dropbear", program, 0755));
  NORA_CHECK(replace_file(shared / "login",
                          "#!/bin/busybox sh\n# What a telnet visitor meets: a prompt that lets nobody in.\nname=$(busybox hostname)\nfor i in 1 2 3; do\n  printf '%s login: ' \"$name\"\n"
                          "  read -r user || exit\n  printf 'Password: '\n  read -r word || exit\n  busybox sleep 1\n  echo 'Login incorrect'\ndone\n", 0755));
  auto key = run({.argv = {"dropbearkey", "-t", "ed25519", "-f", (shared / "hostkey").string()}});
  if (!key) return pass(key.error());
  if (key->code != 0 && !fs::exists(shared / "hostkey")) return fail(Code::environment, "dropbearkey: " + key->err);
  for (auto [name, subject] : {std::pair{"maker", "/C=JP/O=I-O DATA DEVICE, INC./CN=HDL2-AA"}, {"router", "/C=JP/O=BUFFALO INC./CN=WHR-HP-G300N"}}) {
    auto file = [&](std::string_view end) { return shared / (std::string(name) + std::string(end)); };
    auto cert = run({.argv = {"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-keyout", file(".key").string(), "-out", file(".crt").string(), "-subj", subject}});
    if (!cert) return pass(cert.error());
    if (cert->code != 0) return fail(Code::environment, "openssl req: " + cert->err);
    NORA_TRY(auto key_text, read_file(file(".key")));
    NORA_TRY(auto cert_text, read_file(file(".crt")));
    NORA_CHECK(replace_file(file(".pem"), key_text + cert_text, 0600));
  }
  // Only the plugins of the camera: scanning all of GStreamer's takes seconds.
  for (auto plugin : {"coreelements", "audiotestsrc", "mulaw", "rtp", "rtpmanager", "udp", "tcp", "rtsp", "app"}) {
    auto from = fs::path(fmt::format("/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgst{}.so", plugin));
    if (fs::exists(from, ec)) fs::create_symlink(from, shared / "gst" / from.filename(), ec);
  }
  return {};
}

Result<std::vector<Service>> services_of(const Device& device, const DeviceFiles& files) {
  Kit k(device, files);
  using Maker = Result<Services> (*)(Kit&);
  static const std::map<std::string_view, Maker> makers = {
      {"hk-telnet", [](Kit& kit) { return two(kit.telnet("Logitec LAN-W300N/R Ver.2.27"), kit.realm("LAN-W300N/R")); }},
      {"hk-ssh", ssh_router},
      {"hk-resolver", resolver},
      {"hk-ntp", time_server},
      {"hk-proxy", web_proxy},
      {"hk-socks", [](Kit& kit) { return two(kit.user("socks", {"microsocks", "-i", kit.v4(), "-p", "1080"}, {"tcp/1080"}), kit.realm("MZK-MF300N")); }},
      {"hk-upnp", upnp_gateway},
      {"hk-recorder", [](Kit& kit) -> Result<Services> {
         NORA_TRY(auto page, kit.page("UDR-JA1604 DVR", "UDR-HTTPD", "<h1>UDR-JA1604</h1><p>Firmware 71.10.1</p>"));
         Services out;
         out.push_back(std::move(page));
         return out;
       }},
      {"hk-unknown-1", unknown},
      {"hk-unknown-2", unknown},
      {"sk-unknown-3", unknown},
      {"sk-unknown-4", unknown},
      {"hk-healthy", [](Kit&) -> Result<Services> { return Services{}; }},
      {"hk-camera", camera},
      {"hk-tls", tls_storage},
      {"hk-excluded", [](Kit& kit) { return two(kit.telnet("Logitec LAN-W300N/R Ver.2.27"), kit.realm("LAN-W300N/R")); }},
      {"outside", [](Kit& kit) { return two(kit.telnet("Logitec LAN-W300N/R Ver.2.27"), kit.realm("LAN-W300N/R")); }},
      {"sk-nas", storage},
      {"sk-mqtt", solar_monitor},
      {"sk-printer", printer},
      {"sk-mape", [](Kit& kit) -> Result<Services> {
         NORA_TRY(auto page, kit.page("Network Camera VB-S30D", "VB/1.3.0", "<h1>VB-S30D</h1>", plan::mape_port));
         Services out;
         out.push_back(std::move(page));
         return out;
       }},
      {"sk-coap", energy_gateway},
      {"sk-vnc", operator_panel},
      {"sk-snmp", snmp_router},
      {"biz-plc", controller},
  };
  auto maker = makers.find(device.id);
  if (maker == makers.end()) return fail(Code::failed, fmt::format("no servers are planned for {}", device.id));
  return maker->second(k);
}

}  // namespace nora::neighbourhood
