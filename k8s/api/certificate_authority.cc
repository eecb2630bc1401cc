#include "k8s/api/certificate_authority.h"

#include <absl/status/status.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>
#include <string_view>

namespace k8s {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;
using BigNumber = std::unique_ptr<BIGNUM, Deleter<BN_free>>;

constexpr absl::Duration kBackdate = absl::Minutes(5);  // as kubeadm and cert-manager do
constexpr size_t kMaxCommonName = 64;                   // X.520
constexpr size_t kNumberDigits = 16;
constexpr int kSerialBits = 127;                                    // positive, and unique without anybody counting
constexpr char kLeafCommonName[] = "multicluster-service-account";  // clients look at the names only

absl::Status OpenSslError(const char* what) {
  ERR_clear_error();
  return absl::InternalError(what);
}

Bio ReadFrom(std::string_view pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::string_view ContentOf(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

// OpenSSL would ask on the terminal for the pass phrase of an encrypted key.
int NoPassphrase(char*, int, int, void*) {
  return -1;
}

// Numbers the certificate and appends the number to `common_name`.
bool SetSerialAndSubject(X509* certificate, const std::string& common_name, bool numbered) {
  const BigNumber serial(BN_new());
  if (!serial || BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1) return false;
  BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate));
  std::string name = common_name;
  if (numbered) {
    const std::unique_ptr<char, decltype([](char* text) { OPENSSL_free(text); })> hex(BN_bn2hex(serial.get()));
    const std::string number = std::string(hex.get()).substr(0, kNumberDigits);
    name = name.substr(0, kMaxCommonName - 1 - number.size()) + " " + number;
  }
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(name.data()), static_cast<int>(name.size()),
                                    -1, 0) == 1;
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// Built piece by piece: in OpenSSL's textual form a name could smuggle in others.
bool AddNames(X509* certificate, const std::vector<std::string>& names) {
  const Names list(GENERAL_NAMES_new());
  for (const std::string& name : names) {
    GENERAL_NAME* entry = GENERAL_NAME_new();
    if (ASN1_OCTET_STRING* address = a2i_IPADDRESS(name.c_str())) {
      GENERAL_NAME_set0_value(entry, GEN_IPADD, address);
    } else {
      ASN1_IA5STRING* dns = ASN1_IA5STRING_new();
      ASN1_STRING_set(dns, name.data(), static_cast<int>(name.size()));
      GENERAL_NAME_set0_value(entry, GEN_DNS, dns);
    }
    sk_GENERAL_NAME_push(list.get(), entry);
  }
  ERR_clear_error();  // left by names that are no address
  return X509_add1_ext_i2d(certificate, NID_subject_alt_name, list.get(), 0, 0) == 1;
}

Certificate NewCertificate(EVP_PKEY* key, absl::Time not_before, absl::Time not_after) {
  Certificate certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), absl::ToTimeT(not_before)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(not_after)) == nullptr ||
      X509_set_pubkey(certificate.get(), key) != 1) {
    return nullptr;
  }
  return certificate;
}

absl::StatusOr<CertificateAndKey> ToPem(X509* certificate, EVP_PKEY* key, absl::Time not_after) {
  const Bio certificate_bio(BIO_new(BIO_s_mem()));
  const Bio key_bio(BIO_new(BIO_s_secmem()));  // wiped when it goes
  if (PEM_write_bio_X509(certificate_bio.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpenSslError("a new certificate could not be written as PEM");
  }
  return CertificateAndKey{.certificate = std::string(ContentOf(certificate_bio)),
                           .key = SecretString(ContentOf(key_bio)),
                           .not_after = not_after};
}

absl::Time NotAfter(const X509* certificate) {
  tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1) return absl::InfinitePast();
  return absl::FromTM(time, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<CertificateAndKey> MakeCa(const std::string& common_name, absl::Duration lifetime, absl::Time now) {
  const absl::Time not_after = absl::FromTimeT(absl::ToTimeT(now + lifetime));
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return OpenSslError("no key could be made for a new CA");
  const Certificate ca = NewCertificate(key.get(), now - kBackdate, not_after);
  if (!ca || !SetSerialAndSubject(ca.get(), common_name, /*numbered=*/true) ||
      X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get())) != 1 ||
      !AddExtension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !AddExtension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(ca.get(), ca.get(), NID_subject_key_identifier, "hash") ||
      X509_sign(ca.get(), key.get(), EVP_sha256()) == 0) {
    return OpenSslError("a new CA could not be signed");
  }
  return ToPem(ca.get(), key.get(), not_after);
}

absl::StatusOr<CertificateAndKey> SignLeaf(const std::string& ca_certificate, const SecretString& ca_key,
                                           const std::vector<std::string>& names, absl::Duration lifetime,
                                           absl::Time now) {
  if (names.empty()) return absl::InvalidArgumentError("a server certificate needs at least one name");
  const Certificate ca(PEM_read_bio_X509(ReadFrom(ca_certificate).get(), nullptr, nullptr, nullptr));
  const Key signing_key(PEM_read_bio_PrivateKey(ReadFrom(ca_key.Reveal()).get(), nullptr, &NoPassphrase, nullptr));
  if (!ca || !signing_key || X509_check_private_key(ca.get(), signing_key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError("the CA's certificate and key are malformed, or do not belong together");
  }
  const absl::Time not_after = std::min(absl::FromTimeT(absl::ToTimeT(now + lifetime)), NotAfter(ca.get()));
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return OpenSslError("no key could be made for a server certificate");
  const Certificate leaf = NewCertificate(key.get(), now - kBackdate, not_after);
  if (!leaf || !SetSerialAndSubject(leaf.get(), kLeafCommonName, /*numbered=*/false) ||
      X509_set_issuer_name(leaf.get(), X509_get_subject_name(ca.get())) != 1 ||
      !AddExtension(leaf.get(), ca.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(leaf.get(), ca.get(), NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(leaf.get(), ca.get(), NID_ext_key_usage, "serverAuth") ||
      !AddExtension(leaf.get(), ca.get(), NID_subject_key_identifier, "hash") ||
      !AddExtension(leaf.get(), ca.get(), NID_authority_key_identifier, "keyid") || !AddNames(leaf.get(), names) ||
      X509_sign(leaf.get(), signing_key.get(), EVP_sha256()) == 0) {
    return OpenSslError("a server certificate could not be signed");
  }
  return ToPem(leaf.get(), key.get(), not_after);
}

}  // namespace k8s
