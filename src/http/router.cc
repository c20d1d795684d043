#include "http/router.h"

#include <algorithm>

#include "base/result.h"

namespace nora::http {
namespace {

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> out;
  std::size_t from = 1;
  while (from <= path.size()) {
    const auto end = std::min(path.find('/', from), path.size());
    out.emplace_back(path.substr(from, end - from));
    from = end + 1;
  }
  return out;
}

bool is_place(const std::string& s) { return s.size() > 2 && s.front() == '{' && s.back() == '}'; }
bool is_tail(const std::string& s) { return is_place(s) && s[s.size() - 2] == '*'; }

// Literal segments matched, or -1 if the pattern does not fit.
int match(const std::vector<std::string>& pattern, const std::vector<std::string>& path, Fields& params) {
  int literals = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (is_tail(pattern[i])) {
      std::string rest;
      for (std::size_t k = i; k < path.size(); ++k) rest += (k == i ? "" : "/") + path[k];
      params.add(pattern[i].substr(1, pattern[i].size() - 3), std::move(rest));
      return literals;
    }
    if (i >= path.size()) return -1;
    if (is_place(pattern[i])) {
      if (path[i].empty()) return -1;
      params.add(pattern[i].substr(1, pattern[i].size() - 2), path[i]);
    } else if (pattern[i] == path[i]) {
      ++literals;
    } else {
      return -1;
    }
  }
  return pattern.size() == path.size() ? literals : -1;
}

}  // namespace

void Router::add(Method method, std::string_view pattern, Handler handler) {
  for (const auto& route : routes_) NORA_ASSERT(route.method != method || route.pattern != pattern, pattern);
  routes_.push_back({method, std::string(pattern), split(pattern), std::move(handler)});
}

Response Router::operator()(Request& request) const {
  const auto path = split(request.path);
  const auto wanted = request.method == Method::head ? Method::get : request.method;
  const Route* best = nullptr;
  int best_literals = -1;
  Fields best_params;
  std::string allow;
  for (const auto& route : routes_) {
    Fields params;
    const int literals = match(route.segments, path, params);
    if (literals < 0) continue;
    const std::string_view verb = route.method == Method::get ? "GET, HEAD" : "POST";
    if (allow.find(verb) == std::string::npos) (allow += allow.empty() ? "" : ", ") += verb;
    if (route.method != wanted || literals <= best_literals) continue;
    best = &route;
    best_literals = literals;
    best_params = std::move(params);
  }
  if (best) {
    request.params = std::move(best_params);
    return best->handler(request);
  }
  if (!allow.empty()) {
    auto r = Response::text("405 method not allowed\n", 405);
    r.with("Allow", allow);
    return r;
  }
  if (not_found_) return not_found_(request);
  return Response::text("404 not found\n", 404);
}

}  // namespace nora::http
