#include "k8s/api/tls_context.h"

#include <absl/status/status.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <string_view>

namespace k8s {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

Bio ReadFrom(std::string_view pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
}

// OpenSSL would ask on the terminal for the pass phrase of an encrypted key.
int NoPassphrase(char*, int, int, void*) {
  return -1;
}

std::shared_ptr<X509> ReadCertificate(BIO* bio) {
  return {PEM_read_bio_X509(bio, nullptr, nullptr, nullptr), &X509_free};
}

}  // namespace

absl::StatusOr<TlsContext> BuildTlsContext(const std::string& ca_pem, const std::string& certificate_pem,
                                           const SecretString& key_pem) {
  TlsContext context;
  if (!ca_pem.empty()) {
    context.roots = {X509_STORE_new(), &X509_STORE_free};
    const Bio bio = ReadFrom(ca_pem);
    int certificates = 0;
    while (const std::shared_ptr<X509> certificate = ReadCertificate(bio.get())) {
      X509_STORE_add_cert(context.roots.get(), certificate.get());
      ++certificates;
    }
    if (certificates == 0) return absl::InvalidArgumentError("the CA bundle holds no PEM certificate");
  }
  if (certificate_pem.empty() != key_pem.empty()) {
    return absl::InvalidArgumentError("a client certificate needs its key, and a key its certificate");
  }
  if (!certificate_pem.empty()) {
    context.certificate = ReadCertificate(ReadFrom(certificate_pem).get());
    if (context.certificate == nullptr) return absl::InvalidArgumentError("the client certificate is not PEM");
    context.key = {PEM_read_bio_PrivateKey(ReadFrom(key_pem.Reveal()).get(), nullptr, &NoPassphrase, nullptr),
                   &EVP_PKEY_free};
    if (context.key == nullptr) return absl::InvalidArgumentError("the client key is not PEM, or is encrypted");
    if (X509_check_private_key(context.certificate.get(), context.key.get()) != 1) {
      return absl::InvalidArgumentError("the client key does not belong to the client certificate");
    }
    context.chain_pem = certificate_pem;
  }
  ERR_clear_error();  // the end of each PEM text leaves one behind
  return context;
}

}  // namespace k8s
