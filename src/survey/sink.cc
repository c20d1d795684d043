#include "survey/sink.h"

#include <filesystem>

#include "base/escape.h"

namespace nora::survey {

json::Object to_json(const registry::ReplyRecord& r) {
  json::Object keys;
  for (const auto& k : r.reply.keys) {
    auto value = json::Value(to_clean_utf8(k.value));
    if (auto* there = keys.if_contains(k.key)) {
      if (!there->is_array()) *there = json::Array{*there};
      there->as_array().push_back(value);
    } else {
      keys[k.key] = value;
    }
  }
  json::Array exact;  // keys with their bytes: the spool must lose nothing
  for (const auto& k : r.reply.keys) exact.push_back(json::Array{json::Value(k.key), json::Value(to_base64(as_bytes(k.value)))});
  return {{"type", "reply"},
          {"ip", r.seen.where.ip.text()},
          {"port", r.seen.where.port.value},
          {"proto", name(r.seen.where.proto)},
          {"at", r.seen.where.at.text()},
          {"at_error_ms", r.seen.at_error.us / 1000},
          {"probe", r.seen.probe},
          {"protocol", r.reply.protocol},
          {"hash", to_hex(r.reply.hash)},
          {"keys", std::move(keys)},
          {"exact_keys", std::move(exact)},
          {"bytes", to_base64(r.reply.bytes)},
          {"segment", r.seen.segment},
          {"request_bytes", r.seen.request_bytes},
          {"reply_bytes", r.seen.reply_bytes}};
}

json::Object to_json(const registry::Outcome& o) {
  return {{"type", "outcome"}, {"ip", o.ip.text()}, {"port", o.port.value}, {"proto", name(o.proto)},
          {"probe", o.probe},  {"at", o.at.text()}, {"outcome", o.outcome}, {"segment", o.segment}};
}

Result<registry::ReplyRecord> reply_from_json(const json::Object& o) {
  registry::ReplyRecord r;
  NORA_TRY(r.seen.where.ip, json::get_ip(o, "ip"));
  NORA_TRY(auto port, json::get_int(o, "port"));
  r.seen.where.port.value = static_cast<std::uint16_t>(port);
  NORA_TRY(auto proto, json::get_string(o, "proto"));
  NORA_TRY(r.seen.where.proto, parse_proto(proto));
  NORA_TRY(r.seen.where.at, json::get_instant(o, "at"));
  r.seen.at_error = Span::ms(json::int_or(o, "at_error_ms", 0));
  NORA_TRY(r.seen.probe, json::get_string(o, "probe"));
  NORA_TRY(r.reply.protocol, json::get_string(o, "protocol"));
  NORA_TRY(auto bytes, json::get_string(o, "bytes"));
  NORA_TRY(r.reply.bytes, from_base64(bytes));
  NORA_TRY(auto exact, json::get_array(o, "exact_keys"));
  for (const auto& v : exact) {
    const auto* pair = v.if_array();
    if (!pair || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string())
      return fail(Code::bad_input, "a key of the spool is not a pair");
    NORA_TRY(auto value, from_base64(std::string_view((*pair)[1].as_string())));
    r.reply.keys.push_back({std::string((*pair)[0].as_string()), to_string(value)});
  }
  r.reply.hash = registry::reply_hash(r.reply.protocol, r.reply.bytes);
  r.seen.reply_hash = r.reply.hash;
  r.seen.segment = json::string_or(o, "segment");
  r.seen.request_bytes = json::int_or(o, "request_bytes", 0);
  r.seen.reply_bytes = json::int_or(o, "reply_bytes", 0);
  return r;
}

Result<registry::Outcome> outcome_from_json(const json::Object& o) {
  registry::Outcome r;
  NORA_TRY(r.ip, json::get_ip(o, "ip"));
  NORA_TRY(auto port, json::get_int(o, "port"));
  r.port.value = static_cast<std::uint16_t>(port);
  NORA_TRY(auto proto, json::get_string(o, "proto"));
  NORA_TRY(r.proto, parse_proto(proto));
  NORA_TRY(r.probe, json::get_string(o, "probe"));
  NORA_TRY(r.at, json::get_instant(o, "at"));
  NORA_TRY(r.outcome, json::get_string(o, "outcome"));
  r.segment = json::string_or(o, "segment");
  return r;
}

Result<registry::Registry> open_again(std::string_view url) {
  constexpr std::string_view sqlite = "sqlite:";
  if (url.starts_with(sqlite) && !std::filesystem::exists(url.substr(sqlite.size())))
    return fail(Code::environment, "the store " + std::string(url.substr(sqlite.size())) + " is not there");
  return registry::Registry::open(url);
}

Result<std::unique_ptr<RegistrySink>> RegistrySink::open(std::string_view url, std::string owner, bool now_or_never) {
  std::unique_ptr<RegistrySink> out(new RegistrySink(std::string(url), std::move(owner)));
  auto opened = now_or_never ? registry::Registry::open(url) : open_again(url);
  if (opened) out->registry_.emplace(std::move(*opened));
  else if (now_or_never || opened.error().code == Code::usage) return std::unexpected(opened.error());
  return out;
}

// A connection over which something failed is not trusted again.
Status RegistrySink::with(const std::function<Status(registry::Registry&)>& work) {
  if (!registry_) {
    NORA_TRY(auto opened, open_again(url_));
    registry_.emplace(std::move(opened));
  }
  auto done = work(*registry_);
  if (!done && done.error().code != Code::refused) registry_.reset();
  return done;
}

Status RegistrySink::put(const Batch& batch) {
  return with([&](registry::Registry& r) -> Status {
    if (!batch.replies.empty()) {
      NORA_TRY(auto counts, r.put_replies(batch.replies, batch.fences));
      late_ += counts.late;
    }
    if (!batch.outcomes.empty()) {
      NORA_TRY(auto counts, r.put_outcomes(batch.outcomes, batch.fences));
      late_ += counts.late;
    }
    return {};
  });
}

Status RegistrySink::put_survey(const registry::Survey& survey) {
  return with([&](registry::Registry& r) { return r.put_survey(survey); });
}

// A segment that was leased before it was reserved: its token decides. A node that comes too late is told so, counts it, and goes on.
Status RegistrySink::put_fenced_segment(registry::Registry& r, const registry::Segment& s, std::string_view leaf) {
  using registry::SegmentState;
  auto done = s.state == SegmentState::reserved ? r.note_reserved(s.id, s.fence, leaf)
              : s.state == SegmentState::sent   ? r.mark_sent(s.id, s.fence, s.sent)
                                                : r.commit_segment(s.id, s.fence, s.sent, s.file_hash, leaf);
  if (done || done.error().code != Code::refused) return done;
  NORA_TRY(auto stored, r.segment(s.id));
  if (stored && stored->fence == s.fence && stored->state == SegmentState::committed) return {};  // put before
  ++late_;
  return {};
}

Status RegistrySink::put_segment(const registry::Segment& s, std::string_view leaf, Instant now) {
  return with([&](registry::Registry& r) -> Status {
    if (s.fence != 0) return put_fenced_segment(r, s, leaf);
    // One node works by its plan file: it leases exactly the segment that it reserved; the fencing token lives as long as the segment.
    constexpr Span lease = Span::minutes(10);
    NORA_TRY(auto stored, r.segment(s.id));
    if (stored && stored->state == registry::SegmentState::committed) return {};
    if (s.state == registry::SegmentState::reserved || !fences_.contains(s.id)) {
      NORA_TRY(auto leased, r.reserve_segment(s, owner_, now, lease, s.state == registry::SegmentState::reserved ? leaf : std::string_view()));
      fences_[s.id] = leased.fence;
    }
    if (s.state == registry::SegmentState::sent) return r.mark_sent(s.id, fences_[s.id], s.sent);
    if (s.state == registry::SegmentState::committed) {
      NORA_CHECK(r.commit_segment(s.id, fences_[s.id], s.sent, s.file_hash, leaf));
      fences_.erase(s.id);
    }
    return {};
  });
}

}  // namespace nora::survey
