// Records: the portal's own store. What it may hold (docs/law.md): the consent to a check, the visitor's own address for at most address_kept,
// the verdict, and what an owner told, by keyed hash of the code. No name, no mail address, no code in the clear, nothing that joins a visitor to
// another visit. Used by the pages; any thread (one guarded connection; a check writes two rows).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/guarded.h"
#include "base/ip.h"
#include "base/secret.h"
#include "store/db.h"

namespace nora::portal {

inline constexpr Span address_kept = Span::hours(24);
inline constexpr Span rows_kept = Span::days(30);

class Records {
 public:
  static Result<std::unique_ptr<Records>> open(std::string_view url, Secret code_key, Env env);
  Records(std::unique_ptr<store::Db> db, Secret code_key, Env env) : env_(env), key_(std::move(code_key)), db_(std::move(db)) {}

  // Returns the row's id. Also forgets what is too old.
  Result<std::int64_t> consented(Ip own_address, std::string_view text_id, std::string_view lang, std::string_view code);
  Status checked(std::int64_t consent, std::string_view verdict, int lines);
  Status told(std::string_view code, std::string_view what);
  Status forget();                                 // addresses after address_kept, rows after rows_kept
  Hash code_hash(std::string_view code) const;     // keyed; the code in canonical form
  Hash peer_hash(Ip peer) const;                   // keyed, for audit leaves

 private:
  Env env_;
  Secret key_;
  Guarded<std::unique_ptr<store::Db>> db_;
};

}  // namespace nora::portal
