#include "identify/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>
#include <re2/re2.h>

#include <array>
#include <mutex>

namespace nora::identify {

namespace {

constexpr std::uint32_t depth_limit = 20'000;
constexpr std::uint32_t heap_limit_kib = 8 * 1024;
constexpr std::size_t jit_stack_start = 32 * 1024;
constexpr std::size_t jit_stack_max = 1024 * 1024;

// Position after the flag letters of an inline head "(?mi-x:" / "(?m)", or npos when the head is something else ("(?:", "(?=", "(?<n>").
std::size_t flag_head_end(std::string_view p, std::size_t at) {
  std::size_t i = at + 2;
  while (i < p.size() && (p[i] == 'i' || p[i] == 'm' || p[i] == 'x' || p[i] == '-')) ++i;
  if (i == at + 2 || i >= p.size() || (p[i] != ':' && p[i] != ')')) return std::string_view::npos;
  return i;
}

struct Flags { bool dotall = false, caseless = false; };

Result<Flags> parse_flags(std::string_view text) {
  Flags flags;
  while (!text.empty()) {
    const auto comma = text.find(',');
    std::string_view one = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    while (!one.empty() && one.back() == ' ') one.remove_suffix(1);
    // All three mean "dot matches newline" in the reference, whatever their names say.
    if (one == "REG_DOT_NEWLINE" || one == "REG_MULTILINE" || one == "REG_LINE_ANY_CRLF") flags.dotall = true;
    else if (one == "REG_ICASE" || one == "IGNORECASE") flags.caseless = true;
    else if (!one.empty()) return fail(Code::bad_input, fmt::format("unknown flag \"{}\"", one));
  }
  return flags;
}

pcre2_code* compile_one(const std::string& text, std::uint32_t options, std::string& why) {
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);  // Ruby knows only \n
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), options, &code, &offset, context);
  pcre2_compile_context_free(context);
  if (compiled == nullptr) {
    PCRE2_UCHAR buffer[256];
    pcre2_get_error_message(code, buffer, sizeof buffer);
    why = fmt::format("{} at offset {}", reinterpret_cast<const char*>(buffer), offset);
    return nullptr;
  }
  return compiled;
}

bool jit(pcre2_code* code) {  // without JIT the interpreter runs: slower, same result
  std::size_t bytes = 0;
  return code != nullptr && pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0 && pcre2_pattern_info(code, PCRE2_INFO_JITSIZE, &bytes) == 0 && bytes > 0;
}

}  // namespace

struct Scratch::Parts {
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;
};

Scratch::Scratch() : parts_(std::make_unique<Parts>()) {
  parts_->data = pcre2_match_data_create(32, nullptr);
  parts_->context = pcre2_match_context_create(nullptr);
  parts_->stack = pcre2_jit_stack_create(jit_stack_start, jit_stack_max, nullptr);
  pcre2_set_match_limit(parts_->context, match_limit);
  pcre2_set_depth_limit(parts_->context, depth_limit);
  pcre2_set_heap_limit(parts_->context, heap_limit_kib);
  pcre2_jit_stack_assign(parts_->context, nullptr, parts_->stack);
}

Scratch::~Scratch() {
  pcre2_match_data_free(parts_->data);
  pcre2_match_context_free(parts_->context);
  pcre2_jit_stack_free(parts_->stack);
}

// What is made once, when it is first needed: 4657 rules load in a third of the time that their machine code would take.
struct Pattern::Lazy {
  struct Form {
    pcre2_code* code = nullptr;
    bool jit = false;
    std::once_flag once;
    std::unique_ptr<RE2> twin;
    std::once_flag twin_once;
    ~Form() { pcre2_code_free(code); }
  };
  std::array<Form, 2> forms;  // by Mode
};

Pattern::Pattern() = default;
Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

Result<Pattern> Pattern::compile(std::string_view ruby, std::string_view flag_text) {
  if (ruby.empty()) return fail(Code::bad_input, "empty pattern");
  if (ruby.size() > max_pattern_bytes) return fail(Code::bad_input, "pattern is too long");
  NORA_TRY(const Flags flags, parse_flags(flag_text));
  Pattern p;
  NORA_TRY(p.text_, to_pcre2(ruby));
  // Ruby's ^ and $ are always line anchors.
  p.options_ = PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UCP;
  if (flags.dotall) p.options_ |= PCRE2_DOTALL;
  if (flags.caseless) p.options_ |= PCRE2_CASELESS;
  p.dotall_ = flags.dotall;
  p.caseless_ = flags.caseless;
  p.lazy_ = std::make_unique<Lazy>();
  std::string why;
  auto* code = compile_one(p.text_, p.options_, why);
  if (code == nullptr) return fail(Code::bad_input, why);
  p.lazy_->forms[0].code = code;
  std::uint32_t groups = 0;
  pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
  if (groups > 31) return fail(Code::bad_input, "more than 31 capture groups");
  p.groups_ = static_cast<int>(groups);
  p.widened_ = widened_for_utf(p.text_);
  p.nested_ = has_nested_repeat(p.text_);
  return p;
}

bool Pattern::match_steps_exceeded(std::string_view subject, Scratch& scratch) const {
  auto& parts = scratch.parts();
  const int rc = pcre2_match(lazy_->forms[0].code, reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(), 0, 0, parts.data, parts.context);
  return rc < 0 && rc != PCRE2_ERROR_NOMATCH;
}

Pattern::Outcome Pattern::match(std::string_view subject, Mode mode, Scratch& scratch, std::vector<Slice>& slices) const {
  if (!lazy_) return Outcome::miss;
  auto& form = lazy_->forms[static_cast<std::size_t>(mode)];
  std::call_once(form.once, [&] {
    std::string why;  // the UTF form may fail for byte escapes; then only byte mode is tried
    if (form.code == nullptr) form.code = compile_one(text_, options_ | (mode == Mode::utf ? PCRE2_UTF : 0U), why);
    form.jit = jit(form.code);
  });
  if (form.code == nullptr) return Outcome::miss;
  const char* data = subject.data() == nullptr ? "" : subject.data();
  if (!nested_) {
    auto& parts = scratch.parts();
    // Straight to the compiled code: pcre2_match() costs as much as the match of a short banner. The caller has checked UTF-8 for utf mode.
    const auto* bytes = reinterpret_cast<PCRE2_SPTR>(data);
    const int rc = form.jit ? pcre2_jit_match(form.code, bytes, subject.size(), 0, 0, parts.data, parts.context)
                            : pcre2_match(form.code, bytes, subject.size(), 0, 0, parts.data, parts.context);
    if (rc == PCRE2_ERROR_NOMATCH) return Outcome::miss;
    if (rc > 0) {
      const PCRE2_SIZE* v = pcre2_get_ovector_pointer(parts.data);
      slices.assign(static_cast<std::size_t>(groups_) + 1, {});
      for (int i = 0; i <= groups_ && i < rc; ++i)
        if (v[2 * i] != PCRE2_UNSET) slices[static_cast<std::size_t>(i)] = {v[2 * i], v[2 * i + 1], true};
      return Outcome::match;
    }
  }
  // Nested repeats, or no answer within the steps: the engine that never backtracks. Its groups are PCRE's (leftmost, first alternative).
  std::call_once(form.twin_once, [&] {
    RE2::Options options(RE2::Quiet);
    if (mode == Mode::bytes) options.set_encoding(RE2::Options::EncodingLatin1);
    options.set_dot_nl(dotall_);
    options.set_case_sensitive(!caseless_);
    form.twin = std::make_unique<RE2>("(?m)" + text_, options);
  });
  if (!form.twin->ok()) return Outcome::limit;
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(groups_) + 1);
  const re2::StringPiece text(data, subject.size());
  if (!form.twin->Match(text, 0, subject.size(), RE2::UNANCHORED, groups.data(), static_cast<int>(groups.size()))) return Outcome::miss;
  slices.assign(groups.size(), {});
  for (std::size_t i = 0; i < groups.size(); ++i)
    if (groups[i].data() != nullptr) slices[i] = {static_cast<std::size_t>(groups[i].data() - data), static_cast<std::size_t>(groups[i].data() - data) + groups[i].size(), true};
  return Outcome::match;
}

Result<std::string> to_pcre2(std::string_view p) {
  std::string out;
  out.reserve(p.size() + 4);
  bool in_class = false;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const char c = p[i];
    if (c == '\\') {
      if (i + 1 >= p.size()) return fail(Code::bad_input, "pattern ends in a backslash");
      // Ruby: hexadecimal digit. PCRE2: horizontal space.
      if (p[i + 1] == 'h' || p[i + 1] == 'H') return fail(Code::bad_input, "\\h means something else in Ruby; write [0-9A-Fa-f]");
      out += c;
      out += p[++i];
      continue;
    }
    if (in_class) {
      if (c == ']') in_class = false;
      else if (c == '[' && (i + 1 >= p.size() || p[i + 1] != ':')) return fail(Code::bad_input, "nested character class");
      else if (c == '&' && i + 1 < p.size() && p[i + 1] == '&') return fail(Code::bad_input, "&& in a character class");
      else if (c == '[') {  // POSIX class [:alpha:]
        const auto end = p.find(":]", i + 2);
        if (end == std::string_view::npos) return fail(Code::bad_input, "unfinished [: :] class");
        out += p.substr(i, end + 2 - i);
        i = end + 1;
        continue;
      }
      out += c;
      continue;
    }
    if (c == '[') {
      in_class = true;
      out += c;
      if (i + 1 < p.size() && p[i + 1] == '^') out += p[++i];
      if (i + 1 < p.size() && p[i + 1] == ']') out += p[++i];  // a leading ] is a literal in both
      continue;
    }
    if (c == '{' && i + 1 < p.size() && p[i + 1] == ',') return fail(Code::bad_input, "{,n} means something else in Ruby; write {0,n}");
    if (c == '(' && i + 1 < p.size() && p[i + 1] == '?') {
      if (const auto end = flag_head_end(p, i); end != std::string_view::npos) {
        out += "(?";
        for (std::size_t k = i + 2; k < end; ++k) out += p[k] == 'm' ? 's' : p[k];
        i = end - 1;
        continue;
      }
    }
    out += c;
  }
  return out;
}

bool has_nested_repeat(std::string_view p) {
  // Per open group: did a repeat without bound occur directly or deeper inside it, with nothing fixed required beside it?
  std::vector<bool> repeats{false};
  bool in_class = false;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const char c = p[i];
    if (c == '\\') { ++i; continue; }
    if (in_class) { if (c == ']') in_class = false; continue; }
    if (c == '[') {
      in_class = true;
      if (i + 1 < p.size() && p[i + 1] == '^') ++i;
      if (i + 1 < p.size() && p[i + 1] == ']') ++i;
    } else if (c == '(') {
      repeats.push_back(false);
    } else if (c == ')' && repeats.size() > 1) {
      const bool inner = repeats.back();
      repeats.pop_back();
      const bool repeated = i + 1 < p.size() && (p[i + 1] == '*' || p[i + 1] == '+');
      // "(?:abc [0-9]+)*" is harmless in practice, "(.+)*" is not: only a group that is nothing but the repeat counts.
      if (inner && repeated && i >= 1 && (p[i - 1] == '+' || p[i - 1] == '*')) {
        std::size_t open = i, depth = 0;
        while (open-- > 0) {
          if (p[open] == ')') ++depth;
          else if (p[open] == '(' && depth-- == 0) break;
        }
        std::string_view body = p.substr(open + 1, i - open - 1);
        if (body.starts_with("?:")) body.remove_prefix(2);
        const bool single = body.size() <= 3 || body.front() == '[' ? body.find_first_of(")") == std::string_view::npos : false;
        if (single && (body.front() != '[' || body.find(']') + 2 == body.size())) return true;
      }
      if (inner) repeats.back() = true;
    } else if (c == '*' || c == '+') {
      repeats.back() = true;
    }
  }
  return false;
}

std::optional<std::string> widened_for_utf(std::string_view p) {
  constexpr std::string_view one_character = "{1,4}";  // bytes of a character in UTF-8
  std::string out;
  // Behind an atom that stands for any one character: its repeat, counted in bytes.
  const auto repeat = [&](std::size_t& i) {
    if (i >= p.size()) { out += one_character; return; }
    if (p[i] == '*' || p[i] == '+') { out += p[i++]; return; }
    if (p[i] == '?') { out += "{0,4}"; ++i; return; }
    const auto end = p[i] == '{' ? p.find('}', i) : std::string_view::npos;
    const auto digits = end == std::string_view::npos ? std::string_view{} : p.substr(i + 1, end - i - 1);
    if (digits.empty() || digits.find_first_not_of("0123456789,") != std::string_view::npos || digits.front() == ',') { out += one_character; return; }
    out += '{';
    out += digits.substr(0, digits.find(','));
    out += ",}";
    i = end + 1;
  };
  for (std::size_t i = 0; i < p.size();) {
    const char c = p[i];
    if (static_cast<unsigned char>(c) >= 0x80) return std::nullopt;
    if (c == '\\') {
      const char e = i + 1 < p.size() ? p[i + 1] : '\\';
      if (std::string_view("xuNoXRpP0").find(e) != std::string_view::npos) return std::nullopt;
      out += p.substr(i, 2);
      i += 2;
      if (std::string_view("WSDVH").find(e) != std::string_view::npos) repeat(i);
    } else if (c == '.') {
      out += p[i++];
      repeat(i);
    } else if (c == '[') {
      bool inverse = i + 1 < p.size() && p[i + 1] == '^';
      std::size_t end = i + (inverse ? 2 : 1);
      if (end < p.size() && p[end] == ']') ++end;
      while (end < p.size() && p[end] != ']') {
        if (static_cast<unsigned char>(p[end]) >= 0x80) return std::nullopt;
        if (p[end] == '[' && end + 1 < p.size() && p[end + 1] == ':') {
          if (end + 2 < p.size() && p[end + 2] == '^') inverse = true;
          end = p.find(":]", end);
          if (end == std::string_view::npos) return std::nullopt;
          end += 2;
          continue;
        }
        if (p[end] == '\\' && end + 1 < p.size()) {
          ++end;
          if (std::string_view("xuNopP0").find(p[end]) != std::string_view::npos) return std::nullopt;
          if (std::string_view("WSDVH").find(p[end]) != std::string_view::npos) inverse = true;
        }
        ++end;
      }
      out += p.substr(i, end + 1 - i);
      i = end + 1;
      if (inverse) repeat(i);
    } else {
      out += p[i++];
    }
  }
  return out;
}

bool is_valid_utf8(std::string_view s) {
  for (std::size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    int n = c < 0x80 ? 0 : c >= 0xc2 && c <= 0xdf ? 1 : (c & 0xf0) == 0xe0 ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : -1;
    if (n < 0 || i + static_cast<std::size_t>(n) >= s.size()) return false;
    for (int k = 1; k <= n; ++k) if ((static_cast<unsigned char>(s[i + k]) & 0xc0) != 0x80) return false;
    const auto d = n > 0 ? static_cast<unsigned char>(s[i + 1]) : 0;
    if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f)) return false;
    i += static_cast<std::size_t>(n) + 1;
  }
  return true;
}

}  // namespace nora::identify
