// Router: path patterns to handlers. Used by portal, desk, isp. Filled before the server starts, read-only afterwards.
// Patterns: "/ja/k/{code}", a last "{rest*}" takes the whole tail. A literal segment wins over a place. HEAD is served by GET.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace nora::http {

class Router {
 public:
  void get(std::string_view pattern, Handler handler) { add(Method::get, pattern, std::move(handler)); }
  void post(std::string_view pattern, Handler handler) { add(Method::post, pattern, std::move(handler)); }
  void add(Method method, std::string_view pattern, Handler handler);  // asserts on a repeated pattern
  void not_found(Handler handler) { not_found_ = std::move(handler); }  // default: a plain 404 page
  Response operator()(Request& request) const;  // 404, 405 with Allow, or the handler's answer

 private:
  struct Route {
    Method method;
    std::string pattern;
    std::vector<std::string> segments;  // "{x}" = place
    Handler handler;
  };
  std::vector<Route> routes_;
  Handler not_found_;
};

}  // namespace nora::http
