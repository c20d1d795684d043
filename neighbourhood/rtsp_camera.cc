// The camera's video server: GStreamer's RTSP server library, opened at run time, because it is among the stand-in servers and not
// among the libraries that Nora builds with. Path /live, a tone as PCMU, no password. Only the entry points used are declared.
#include <dlfcn.h>

#include <cstdio>
#include <string>
#include <vector>

#include "neighbourhood/programs.h"

namespace nora::neighbourhood {
namespace {

void* library(const char* name) {
  void* handle = ::dlopen(name, RTLD_NOW | RTLD_GLOBAL);
  if (!handle) std::fprintf(stderr, "%s\n", ::dlerror());
  return handle;
}

template <class F>
F* entry(void* handle, const char* name) {
  return reinterpret_cast<F*>(::dlsym(handle, name));
}

}  // namespace

int rtsp_camera(const std::vector<std::string>& args) {
  if (args.size() != 2) return 2;
  void* glib = library("libglib-2.0.so.0");
  void* gst = library("libgstreamer-1.0.so.0");
  void* rtsp = library("libgstrtspserver-1.0.so.0");
  if (!glib || !gst || !rtsp) return 1;
  auto init = entry<void(int*, char***)>(gst, "gst_init");
  auto server_new = entry<void*()>(rtsp, "gst_rtsp_server_new");
  auto set_address = entry<void(void*, const char*)>(rtsp, "gst_rtsp_server_set_address");
  auto set_service = entry<void(void*, const char*)>(rtsp, "gst_rtsp_server_set_service");
  auto factory_new = entry<void*()>(rtsp, "gst_rtsp_media_factory_new");
  auto set_launch = entry<void(void*, const char*)>(rtsp, "gst_rtsp_media_factory_set_launch");
  auto get_mounts = entry<void*(void*)>(rtsp, "gst_rtsp_server_get_mount_points");
  auto add_factory = entry<void(void*, const char*, void*)>(rtsp, "gst_rtsp_mount_points_add_factory");
  auto attach = entry<unsigned(void*, void*)>(rtsp, "gst_rtsp_server_attach");
  auto loop_new = entry<void*(void*, int)>(glib, "g_main_loop_new");
  auto loop_run = entry<void(void*)>(glib, "g_main_loop_run");
  if (!init || !server_new || !set_address || !set_service || !factory_new || !set_launch || !get_mounts || !add_factory || !attach || !loop_new || !loop_run) return 1;
  init(nullptr, nullptr);
  void* server = server_new();
  set_address(server, args[0].c_str());
  set_service(server, args[1].c_str());
  void* factory = factory_new();
  set_launch(factory, "( audiotestsrc ! mulawenc ! rtppcmupay name=pay0 )");
  add_factory(get_mounts(server), "/live", factory);
  if (attach(server, nullptr) == 0) return 1;
  loop_run(loop_new(nullptr, 0));
  return 0;
}

}  // namespace nora::neighbourhood
