#include "survey/probes/x509.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "base/crypto.h"

namespace nora::survey {
namespace {

constexpr int max_names = 16;

std::string take(BIO* bio) {
  char* data = nullptr;
  auto n = BIO_get_mem_data(bio, &data);
  return n > 0 ? std::string(data, static_cast<std::size_t>(n)) : std::string();
}
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
BioPtr memory() { return {BIO_new(BIO_s_mem()), BIO_free}; }

std::string name_text(const X509_NAME* name) {
  auto bio = memory();
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  return take(bio.get());
}
std::string part(const X509_NAME* name, int nid) {
  int at = X509_NAME_get_index_by_NID(name, nid, -1);
  if (at < 0) return {};
  unsigned char* utf8 = nullptr;
  int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (n < 0) return {};
  std::string out(reinterpret_cast<char*>(utf8), static_cast<std::size_t>(n));
  OPENSSL_free(utf8);
  return out;
}
std::string order(const X509_NAME* name) {
  std::string out;
  for (int i = 0; i < X509_NAME_entry_count(name) && i < max_names; ++i) {
    int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(X509_NAME_get_entry(name, i)));
    out += (out.empty() ? "" : ",") + std::string(nid == NID_undef ? "?" : OBJ_nid2sn(nid));
  }
  return out;
}

}  // namespace

bool add_certificate(Parsed& out, ByteView der) {
  const unsigned char* p = der.data();
  std::unique_ptr<X509, decltype(&X509_free)> cert(d2i_X509(nullptr, &p, static_cast<long>(der.size())), X509_free);
  if (!cert) return false;
  const auto* subject = X509_get_subject_name(cert.get());
  const auto* issuer = X509_get_issuer_name(cert.get());
  out.add("x509.subject", name_text(subject));
  out.add("x509.issuer", name_text(issuer));
  if (auto cn = part(subject, NID_commonName); !cn.empty()) out.add("x509.subject_cn", cn);
  if (auto o = part(subject, NID_organizationName); !o.empty()) out.add("x509.subject_o", o);
  if (auto cn = part(issuer, NID_commonName); !cn.empty()) out.add("x509.issuer_cn", cn);
  int names = 0;
  if (auto* san = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert.get(), NID_subject_alt_name, nullptr, nullptr))) {
    names = sk_GENERAL_NAME_num(san);
    for (int i = 0; i < names && i < max_names; ++i) {
      const auto* name = sk_GENERAL_NAME_value(san, i);
      if (name->type == GEN_DNS)
        out.add("x509.san", {reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                             static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))});
    }
    GENERAL_NAMES_free(san);
  }
  if (X509_NAME_cmp(subject, issuer) == 0) out.add("x509.self_signed", "1");
  const auto* from = X509_get0_notBefore(cert.get());
  const auto* to = X509_get0_notAfter(cert.get());
  int days = 0, seconds = 0;
  if (from && to && !ASN1_TIME_diff(&days, &seconds, from, to)) days = 0;
  std::tm tm{};
  if (to && ASN1_TIME_to_tm(to, &tm)) {
    char text[32];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                  tm.tm_min, tm.tm_sec);
    out.add("x509.not_after", text);
  }
  std::string key = "?";
  if (const auto* spki = X509_get_X509_PUBKEY(cert.get())) {
    ASN1_OBJECT* algorithm = nullptr;
    X509_PUBKEY_get0_param(&algorithm, nullptr, nullptr, nullptr, spki);
    int nid = algorithm ? OBJ_obj2nid(algorithm) : NID_undef;
    key = nid == NID_rsaEncryption ? "rsa" : nid == NID_X9_62_id_ecPublicKey ? "ec" : nid == NID_undef ? "?" : OBJ_nid2sn(nid);
    if (const auto* bits = X509_get0_pubkey(cert.get())) key += std::to_string(EVP_PKEY_get_bits(bits));
    unsigned char* encoded = nullptr;
    int n = i2d_X509_PUBKEY(const_cast<X509_PUBKEY*>(spki), &encoded);
    if (n > 0) out.add("x509.key_sha256", to_hex(sha256(ByteView(encoded, static_cast<std::size_t>(n)))));
    OPENSSL_free(encoded);
  }
  const auto shape = order(subject) + "|" + order(issuer) + "|" + key + "|" + std::to_string(days) + "|" + std::to_string(names);
  out.add("x509.shape", shape);
  out.add("x509.shape_hash", to_hex(sha256(as_bytes(shape))));
  out.add("x509.sha256", to_hex(sha256(der)));
  return true;
}

}  // namespace nora::survey
