// X.509 certificates -> match keys. Parts are checked by the caller: one DER certificate. OpenSSL decodes; pure, runs in the jail.
#pragma once

#include "survey/probes/parsed.h"

namespace nora::survey {

// false: not a certificate. Adds x509.subject, x509.issuer ("CN=…,O=…,C=…", RFC 4514 order), x509.subject_cn, x509.subject_o,
// x509.issuer_cn, x509.san (one per name), x509.self_signed, x509.not_after, x509.shape, x509.shape_hash, x509.sha256, x509.key_sha256.
bool add_certificate(Parsed& out, ByteView der);

}  // namespace nora::survey
