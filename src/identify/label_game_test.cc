// The label game: 30 % of the fingerprints that name a product are hidden, the devices that only they would name are clustered, and an analyst who knows the truth
// names the 50 largest clusters. Measured: how many hidden devices have a name afterwards, and that none has a wrong one.
// Population: every example of the shipped rules is a product; how many devices a product has follows Zipf's law (exponent 1.2, an assumption:
// no census of real devices is at hand). Copies of a product differ in what differs in the field: serial numbers, addresses, open ports.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <pugixml.hpp>
#include <random>
#include <sstream>

#include "base/crypto.h"
#include "identify/cluster.h"
#include "identify/clusterer.h"
#include "identify/testdata/plan_over.h"
#include "identify/words.h"

namespace nora::identify {
namespace {

constexpr int names_given = 50;
constexpr std::size_t devices = 20'000;

struct Product { std::string key, text, vendor, product, type; std::size_t rule = 0; };

const RuleSet& shipped() {
  static const RuleSet rules = *RuleSet::load({std::filesystem::path(NORA_SOURCE_DIR) / "data/fingerprints"});
  return rules;
}

std::vector<Product> products() {
  std::vector<Product> out;
  Matcher matcher(shipped());
  std::size_t number = 0;
  for (const auto& file : shipped().files()) {
    for (const auto& rule : file.rules) {
      ++number;
      for (const auto& example : rule.examples) {
        const std::vector<registry::KeyValue> keys = {{file.key, example.text}};
        Evidence e{{Port{80}, Proto::tcp}, statements_of(matcher, keys)};
        const auto fused = fuse({e});
        if (fused.size() != 1 || !fused[0].identity.product_known()) continue;
        const auto& id = fused[0].identity;
        out.push_back({file.key, example.text, id.vendor.value, id.product.value, id.type.value, number});
      }
    }
  }
  return out;
}

// The shipped rules without the hidden ones.
RuleSet without(const std::set<std::string>& hidden) {
  RuleSet out;
  for (const auto& file : shipped().files()) {
    pugi::xml_document document;
    EXPECT_TRUE(document.load_file(file.path.c_str()));
    auto root = document.child("fingerprints");
    for (auto node = root.child("fingerprint"); node;) {
      const auto next = node.next_sibling("fingerprint");
      if (hidden.contains(file.stem + ":" + node.attribute("nora:id").as_string())) root.remove_child(node);
      node = next;
    }
    std::ostringstream text;
    document.save(text);
    out.add_file(file.stem, text.str());
  }
  return out;
}

Sample device_of(const Product& p, registry::Id id, std::mt19937_64& random) {
  Sample s;
  s.device = id;
  Sample::Reply reply;
  reply.where = {Port{static_cast<std::uint16_t>(random() % 10 == 0 ? 8080 : 80)}, Proto::tcp};
  reply.protocol = "any";
  reply.keys.push_back({p.key, p.text});
  // What all copies share beside the telling text, and what each has for itself.
  const auto shape = to_hex(sha256(as_bytes("shape of " + p.vendor + p.product + p.key))).substr(0, 16);
  if (p.key == "html_title" || p.key == "http_header.server" || p.key == "http_header.wwwauth") reply.keys.push_back({"http.body_shape", shape});
  if (p.key == "x509.subject") {  // which attributes the subject has, in order
    std::string attributes;
    for (std::size_t i = 0; i < p.text.size(); ++i) if (p.text[i] == '=') attributes += p.text.substr(p.text.rfind(',', i) + 1, i - p.text.rfind(',', i) - 1) + ",";
    reply.keys.push_back({"x509.shape", attributes + "rsa2048"});
  }
  reply.keys.push_back({"ssh.hostkey_sha256", to_hex(sha256(as_bytes(std::to_string(id))))});
  s.replies.push_back(std::move(reply));
  if (random() % 4 == 0) s.replies.push_back({{Port{53}, Proto::udp}, "dns", {{"dns.ra", "1"}}});
  return s;
}

void identify_all(std::vector<Sample>& samples, const std::vector<const RuleSet*>& sets) {
  std::vector<std::unique_ptr<Matcher>> matchers;
  for (const auto* set : sets) matchers.push_back(std::make_unique<Matcher>(*set));
  for (auto& s : samples) {
    std::vector<Evidence> evidence;
    for (const auto& reply : s.replies) {
      Evidence e{reply.where, {}};
      for (auto& matcher : matchers) {
        for (auto& statement : statements_of(*matcher, reply.keys)) e.statements.push_back(std::move(statement));
      }
      evidence.push_back(std::move(e));
    }
    const auto fused = fuse(std::move(evidence));
    s.identity = fused.empty() ? registry::Identity{} : fused[0].identity;
  }
}

// What an analyst writes who sees that a cluster holds a family: the products with the n-th word that differs as "{n}"; nothing when no one form fits all.
std::string family_of(const std::vector<const Product*>& members) {
  std::vector<std::string> texts;
  for (const auto* p : members) texts.push_back(p->text);
  const auto differ = differing_words(texts);
  std::set<std::string> forms;
  for (const auto* p : members) {
    std::vector<std::string> words(1);
    for (const char c : p->text) {
      if (std::isalnum(static_cast<unsigned char>(c))) words.back() += c;
      else if (!words.back().empty()) words.emplace_back();
    }
    auto form = p->product;
    for (std::size_t n = 0; n < std::min<std::size_t>(differ.size(), 9); ++n) {
      const auto at = form.find(words[differ[n]]);
      if (at == std::string::npos) continue;
      form.replace(at, words[differ[n]].size(), "{" + std::to_string(n + 1) + "}");
      break;
    }
    forms.insert(form);
  }
  return forms.size() == 1 && forms.begin()->find('{') != std::string::npos ? *forms.begin() : "";
}

// The one-pass form makes the groups that cluster_key() makes, device by device.
TEST(Clusterer, SameGroupsAsOneByOne) {
  std::mt19937_64 random(7);
  const auto all = products();
  Clusterer stream;
  std::map<std::string, std::int64_t> expected;
  for (registry::Id id = 1; id <= 2000; ++id) {
    auto s = device_of(all[random() % all.size()], id, random);
    if (id % 3 == 0) s.replies.push_back({{Port{443}, Proto::tcp}, "https", {{"html_title", "Login " + std::to_string(random() % 5)}, {"x509.shape", "s"}}});
    if (id % 50 == 0) s.replies = {{{Port{9}, Proto::tcp}, "tcp", {}}};
    std::sort(s.replies.begin(), s.replies.end(), [](const auto& a, const auto& b) { return std::tie(a.where, a.protocol) < std::tie(b.where, b.protocol); });
    for (auto& reply : s.replies) {
      if (id % 7 == 0) reply.keys.push_back({reply.keys.empty() ? "html_title" : reply.keys.front().key, "A second value"});
      std::shuffle(reply.keys.begin(), reply.keys.end(), random);
      stream.begin_reply();
      for (const auto& kv : reply.keys) stream.feature(kv.key, kv.value);
      stream.observed(id, stream.end_reply());
    }
    const auto key = cluster_key(s);
    ASSERT_EQ(stream.key_of_device(), key) << id;
    if (!key.empty()) ++expected[key];
  }
  const auto groups = stream.finish();
  ASSERT_EQ(groups.size(), expected.size());
  for (const auto& g : groups) EXPECT_EQ(g.devices, expected.at(g.key));
}

struct Game { std::size_t lost = 0, held = 0, right = 0, wrong = 0; };  // held: lost devices in the clusters that were looked at

Game play(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  auto all = products();
  EXPECT_GT(all.size(), 500u);
  std::shuffle(all.begin(), all.end(), random);
  // 30 % of the rules. A value is hidden when the rule that names it is: an earlier rule of the file would otherwise speak for it.
  std::set<std::size_t> hidden_rules;
  for (const auto& p : all) if (sha256(as_bytes("hide " + std::to_string(p.rule)))[0] < 77) hidden_rules.insert(p.rule);
  std::set<std::string> hidden;
  std::size_t number = 0, rule_count = 0;
  for (const auto& file : shipped().files())
    for (const auto& rule : file.rules) { ++rule_count; if (hidden_rules.contains(++number)) hidden.insert(rule.id); }

  std::vector<double> weight(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) weight[i] = std::pow(static_cast<double>(i + 1), -1.2);
  std::discrete_distribution<std::size_t> pick(weight.begin(), weight.end());
  std::vector<Sample> samples;
  std::vector<std::size_t> truth;
  for (std::size_t i = 0; i < devices; ++i) {
    truth.push_back(pick(random));
    samples.push_back(device_of(all[truth.back()], static_cast<registry::Id>(i + 1), random));
  }
  const auto visible = without(hidden);
  EXPECT_EQ(visible.rule_count(), rule_count - hidden.size());
  identify_all(samples, {&visible});
  std::vector<std::size_t> lost;  // devices that only a hidden rule would name
  for (std::size_t i = 0; i < devices; ++i) if (hidden_rules.contains(all[truth[i]].rule) && !samples[i].identity.product_known()) lost.push_back(i);
  EXPECT_GT(lost.size(), devices / 20);

  const auto found = clusters(samples, 2);
  RuleSet named;
  int given = 0, refused = 0, families = 0;
  std::size_t held = 0;
  const std::set<std::size_t> is_lost(lost.begin(), lost.end());
  std::set<std::string> clusters_of_lost;
  for (const auto i : lost) clusters_of_lost.insert(cluster_key(samples[i]));
  for (const auto& cluster : found) {
    if (given + refused == names_given) break;
    for (const auto id : cluster.members) held += is_lost.count(static_cast<std::size_t>(id - 1));
    // The analyst knows these devices; where they are several products he says what they have in common, or nothing.
    std::set<std::size_t> which;
    for (const auto id : cluster.members) which.insert(truth[static_cast<std::size_t>(id - 1)]);
    const auto& first = all[*which.begin()];
    const bool one = std::all_of(which.begin(), which.end(), [&](auto p) { return normal(all[p].vendor) == normal(first.vendor) && normal(all[p].product) == normal(first.product); });
    std::vector<const Product*> several;
    for (const auto p : which) several.push_back(&all[p]);
    const auto name = one ? first.product : family_of(several);
    if (name.empty()) { ++refused; std::cout << "not named: a cluster of " << which.size() << " products like " << first.key << " \"" << first.text.substr(0, 50) << "\"\n"; continue; }
    families += one ? 0 : 1;
    const auto rules = testing::plan_over({cluster.key, first.vendor, name, first.type, "analyst1", "analyst2", Instant{}}, samples, visible);
    if (!rules) { ++refused; std::cout << "not named: " << first.key << " \"" << first.text.substr(0, 50) << "\": " << rules.error().what << "\n"; continue; }
    ++given;
    for (const auto& r : *rules) named.add_file(r.file.substr(0, r.file.size() - 4), r.xml);
  }
  EXPECT_TRUE(named.problems().empty()) << (named.problems().empty() ? "" : named.problems()[0].text());
  identify_all(samples, {&visible, &named});
  std::size_t right = 0, wrong = 0;
  for (std::size_t i = 0; i < devices; ++i) {
    const auto& id = samples[i].identity;
    const auto& p = all[truth[i]];
    if (!id.product_known()) continue;
    // What the device itself states, word by word, is no wrong name ("PEWEU FPWEBD" for Panasonic's unit).
    if (p.text.find(id.vendor.value) != std::string::npos && p.text.find(id.product.value) != std::string::npos) continue;
    if (!compatible(id.vendor.value, p.vendor) || !compatible(id.product.value, p.product)) {
      ++wrong;
      std::cout << "wrong: " << p.key << " \"" << p.text.substr(0, 60) << "\" is " << p.vendor << " " << p.product << ", named " << id.vendor.value << " " << id.product.value << "\n";
    }
  }
  for (const auto i : lost) right += samples[i].identity.product_known() ? 1 : 0;
  std::cout << hidden.size() << " of " << rule_count << " rules hidden, " << lost.size() << " of " << devices << " devices without a name in " << clusters_of_lost.size() << " clusters, " << held << " of them in the " << names_given << " largest; "
            << given << " names given (" << families << " to families), " << refused << " not; named afterwards " << right << " (" << 100.0 * static_cast<double>(right) / static_cast<double>(lost.size()) << " %), wrong " << wrong << "\n";
  return {lost.size(), held, right, wrong};
}

// Which products are frequent is drawn: one draw says little, so five are played.
TEST(LabelGame, FiftyNamesNameMostOfWhatWasHidden) {
  Game all;
  for (const std::uint64_t seed : {20261126, 1, 2, 3, 4}) {
    const auto game = play(seed);
    EXPECT_EQ(game.wrong, 0u) << seed;
    // Where no frequent product is hidden, fifty clusters hold less than 80 % of what is lost: every one of them has its name then.
    EXPECT_GE(static_cast<double>(game.right), 0.98 * static_cast<double>(game.held)) << seed;
    all.lost += game.lost;
    all.right += game.right;
  }
  EXPECT_GE(static_cast<double>(all.right), 0.8 * static_cast<double>(all.lost));
  std::cout << "together " << 100.0 * static_cast<double>(all.right) / static_cast<double>(all.lost) << " % of the hidden devices named\n";
}

}  // namespace
}  // namespace nora::identify
