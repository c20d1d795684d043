#include "expose/cpe_names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <tuple>

#include "base/files.h"
#include "base/text.h"
#include "expose/toml_read.h"

namespace nora::expose {

std::string cpe_normal(std::string_view name) {
  static constexpr std::array<std::string_view, 11> suffixes = {"inc", "co", "ltd", "corp", "corporation", "company", "gmbh", "llc", "kk", "limited", "co.,ltd"};
  std::string out, word;
  const auto flush = [&] {
    while (!word.empty() && (word.back() == '.' || word.back() == ',')) word.pop_back();
    // A suffix ends a name; "Co" as the first word is one.
    if (!word.empty() && (out.empty() || std::find(suffixes.begin(), suffixes.end(), word) == suffixes.end())) {
      if (!out.empty()) out += '_';
      out += word;
    }
    word.clear();
  };
  for (const char c : name) {
    if (std::isspace(static_cast<unsigned char>(c))) flush();
    else word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  flush();
  return out;
}

Result<CpeNames> CpeNames::parse(std::string_view text, std::string_view file) {
  CpeNames out;
  NORA_TRY(const toml::table document, parse_toml(text, file));
  const TomlTable root(document, file);
  NORA_CHECK(root.only({"alias", "support"}));
  NORA_TRY(const auto aliases, root.tables("alias"));
  for (const auto& t : aliases) {
    NORA_CHECK(t.only({"vendor", "product", "cpe_vendor", "cpe_product", "source", "verified"}));
    CpeAlias a;
    NORA_TRY(a.vendor, t.text("vendor"));
    NORA_TRY(a.product, t.text_or("product", ""));
    NORA_TRY(a.cpe_vendors, t.list("cpe_vendor"));
    NORA_TRY(a.cpe_products, t.list("cpe_product"));
    NORA_TRY(a.source, t.text_or("source", ""));
    NORA_TRY(a.verified, t.flag_or("verified", false));
    if (a.cpe_vendors.empty()) return t.bad("cpe_vendor names nobody");
    if (a.product.empty() && !a.cpe_products.empty()) return t.bad("cpe_product needs the product that it stands for");
    if (a.verified && a.source.empty()) return t.bad("a verified alias needs its source");
    for (const auto* list : {&a.cpe_vendors, &a.cpe_products})
      for (const auto& n : *list)
        if (n.empty() || n != cpe_normal(n)) return t.bad("\"" + n + "\" is not spelt as in CPE: lower case, no blanks");
    out.aliases_.push_back(std::move(a));
  }
  NORA_TRY(const auto support, root.tables("support"));
  for (const auto& t : support) {
    NORA_CHECK(t.only({"id", "vendor", "product"}));
    SupportAlias s;
    NORA_TRY(s.id, t.text("id"));
    NORA_TRY(s.vendor, t.text("vendor"));
    NORA_TRY(s.product, t.text("product"));
    out.support_.push_back(std::move(s));
  }
  return out;
}

Result<CpeNames> CpeNames::load(const std::filesystem::path& file) {
  NORA_TRY(const auto text, read_file(file, max_data_file_bytes));
  return parse(text, file.filename().string());
}

std::vector<DeviceFact> CpeNames::facts(std::string_view vendor, std::string_view product, std::string_view firmware, const std::vector<std::string>& cpes,
                                        const std::vector<std::string>& components) const {
  std::vector<DeviceFact> out;
  const auto add = [&](char part, const std::string& v, const std::string& p, std::string_view version, bool verified) {
    const auto same = [&](const DeviceFact& f) { return f.part == part && f.vendor == v && f.product == p && f.version == version; };
    if (const auto it = std::find_if(out.begin(), out.end(), same); it != out.end()) it->alias_verified = it->alias_verified || verified;
    else out.push_back({part, v, p, std::string(version), std::string(vendor), verified, false});
  };
  const auto v = cpe_normal(vendor), p = cpe_normal(product);
  if (!v.empty() && !p.empty()) {
    struct Spelling { std::string vendor, product; bool verified; };
    std::vector<Spelling> spellings{{v, p, true}};
    for (const auto& a : aliases_) {
      if (cpe_normal(a.vendor) != v || (!a.product.empty() && cpe_normal(a.product) != p)) continue;
      for (const auto& cv : a.cpe_vendors) {
        if (a.cpe_products.empty()) spellings.push_back({cv, p, a.verified});
        for (const auto& cp : a.cpe_products) spellings.push_back({cv, cp, a.verified});
      }
    }
    // The same name without the vendor in front: products are told as "Yamaha RTX1200" too.
    if (p.starts_with(v + "_")) spellings.push_back({v, p.substr(v.size() + 1), true});
    for (const auto& s : spellings) {
      add('o', s.vendor, s.product + "_firmware", firmware, s.verified);
      add('o', s.vendor, s.product, firmware, s.verified);
      add('a', s.vendor, s.product, firmware, s.verified);
      add('h', s.vendor, s.product, "", s.verified);  // the revision of the hardware is another thing than its firmware
    }
  }
  for (const auto& text : cpes) {
    const auto parsed = parse_recog_cpe(text);
    if (!parsed) continue;  // `nora vuln for --cpe` checks first; a fingerprint's broken CPE says nothing
    const auto& c = parsed->cpe;
    if (!c[CpeField::vendor].is_text() || !c[CpeField::product].is_text()) continue;
    const char part = c[CpeField::part].is_text() ? c[CpeField::part].text[0] : '\0';
    const auto version = part == 'h' ? std::string() : parsed->version_known ? c[CpeField::version].plain() : std::string(firmware);
    const auto cv = c[CpeField::vendor].plain(), cp = c[CpeField::product].plain();
    add(part, cv, cp, version, true);
    // The hardware behind a firmware's name, and the other way round: "x_firmware" runs on "x".
    if (part == 'o' && cp.ends_with("_firmware")) add('h', cv, cp.substr(0, cp.size() - 9), "", true);
    if (part == 'h') add('o', cv, cp + "_firmware", firmware, true);
  }
  // One statement of a product's version is enough: the same name without a version would make everything "possible".
  std::set<std::tuple<char, std::string, std::string>> told;
  for (const auto& f : out) if (!f.version.empty()) told.insert({f.part, f.vendor, f.product});
  std::erase_if(out, [&](const DeviceFact& f) { return f.version.empty() && told.contains({f.part, f.vendor, f.product}); });
  for (const auto& text : components) {
    const auto parsed = parse_recog_cpe(text);
    if (!parsed || !parsed->version_known) continue;
    const auto& c = parsed->cpe;
    if (!c[CpeField::vendor].is_text() || !c[CpeField::product].is_text()) continue;
    const char part = c[CpeField::part].is_text() ? c[CpeField::part].text[0] : '\0';
    const auto cv = c[CpeField::vendor].plain();
    out.push_back({part, cv, c[CpeField::product].plain(), c[CpeField::version].plain(), cv, true, true});
  }
  return out;
}

const SupportAlias* CpeNames::support_alias(std::string_view vendor, std::string_view product) const {
  const auto v = cpe_normal(vendor), p = cpe_normal(product);
  const auto it = std::find_if(support_.begin(), support_.end(), [&](const SupportAlias& s) { return cpe_normal(s.vendor) == v && cpe_normal(s.product) == p; });
  return it == support_.end() ? nullptr : &*it;
}

}  // namespace nora::expose
