// Pages of the provider's staff: worklist, one row with the evidence of its match and the draft of its mail, isolation with the second person, grounds.
// Used by `nora isp serve`. Japanese and English; no JavaScript. Every page that shows whose line it is writes its leaf first.
// Threads: handlers may run at once; they share one Party behind a lock (staff pages of one provider: a few requests a minute).
#pragma once

#include "base/guarded.h"
#include "http/router.h"
#include "http/session.h"
#include "http/static_files.h"
#include "isp/isolation.h"
#include "isp/outbox.h"

namespace nora::isp {

inline constexpr int rows_per_page = 100;

class Site {
 public:
  struct Parts {
    Env env;
    Guarded<std::unique_ptr<Party>>& party;
    const Messages& messages;
    const http::StaticFiles& files;
    const http::Sessions& sessions;
    const http::Csrf& csrf;
    CoaActor& nas;
  };
  explicit Site(Parts parts) : p_(std::move(parts)) {}
  void add_routes(http::Router& router) const;

 private:
  struct View;   // one request: language, user, words
  using Answer = Result<http::Response>;
  using Work = Answer (Site::*)(View&, Party&) const;
  http::Handler page(std::string_view roles, Work work) const;
  http::Html frame(const View& v, std::string_view title, std::string_view nav, const http::Html& main) const;

  Answer worklist(View& v, Party& party) const;
  Answer one_row(View& v, Party& party) const;
  Answer match_now(View& v, Party& party) const;
  Answer send_now(View& v, Party& party) const;
  Answer ask_isolation(View& v, Party& party) const;
  Answer isolation_list(View& v, Party& party) const;
  Answer approve(View& v, Party& party) const;
  Answer release(View& v, Party& party) const;
  Answer ground_list(View& v, Party& party) const;

  Parts p_;
};

}  // namespace nora::isp
