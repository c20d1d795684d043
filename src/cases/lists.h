// Lists to ISPs and the returns that come back. Used by `nora list`, the scheduler and desk. One writer: the process that runs it.
// A list is signed by the center and sealed to the ISP's key; its audit leaf is on disk before the file exists.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "cases/case_book.h"
#include "exchange/isp_list.h"
#include "law/audit.h"

namespace nora::cases {

inline constexpr Span list_life = Span::days(14);

struct ListRecord {
  std::string id, isp;
  std::int64_t sequence = 0;
  Instant created, not_after;
  std::int64_t rows = 0;
  std::string file;            // name below the list directory
  std::string state;           // made | written | delivered | returned
  std::optional<Instant> returned_at;
};

struct ListMaker {
  Env env;
  registry::Registry& registry;
  CaseBook& book;
  const Routes& routes;
  law::Audit& audit;
  const SigningKey& key;       // the center's
  std::string center;          // its id
  std::filesystem::path dir;   // where files are written: <isp>-<sequence>.nora-list
};

// The rows that the next list for this ISP would hold, without making it (desk's preview).
Result<std::vector<exchange::ListRow>> preview_list(ListMaker& maker, const Isp& isp);
// Nothing new to tell: nullopt, nothing written. Errors: refused (on-site ISP, no key), failed (audit log unwritable: nothing written).
Result<std::optional<ListRecord>> make_list(ListMaker& maker, const Isp& isp);
Result<std::vector<ListRecord>> list_records(registry::Registry& registry, std::string_view isp = {});
// Viewing the rows of a list is a disclosure: leaf first.
Result<std::vector<exchange::ListRow>> view_list(ListMaker& maker, std::string_view list_id, std::string_view user);

struct ReturnCounts {
  std::int64_t rows = 0, news = 0, moved = 0, unknown_states = 0;
  std::map<std::string, std::int64_t> by_state;
};
// Reads a sealed return of this ISP and moves the cases. The same file again is refused (sequence); the same rows again change nothing.
Result<ReturnCounts> import_return(ListMaker& maker, const Isp& isp, ByteView sealed);

}  // namespace nora::cases
