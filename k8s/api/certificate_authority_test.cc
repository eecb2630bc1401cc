#include "k8s/api/certificate_authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "k8s/api/tls_context.h"

namespace k8s {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr char kName[] = "service-account-import-admission-controller.multicluster-service-account-webhook.svc";

std::shared_ptr<X509> Read(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  std::shared_ptr<X509> certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr), &X509_free);
  BIO_free(bio);
  return certificate;
}

// "ok", or why a TLS client that trusts `bundle` and dials `name` refuses `leaf` at `time`.
std::string Verify(const std::string& leaf, const std::string& bundle, const std::string& name, absl::Time time) {
  const TlsContext trusted = BuildTlsContext(bundle, "", SecretString()).value();
  const std::shared_ptr<X509> certificate = Read(leaf);
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, trusted.roots.get(), certificate.get(), nullptr);
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context);
  X509_STORE_CTX_set_default(context, "ssl_server");
  X509_VERIFY_PARAM_set_time(parameters, absl::ToTimeT(time));
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str()) != 1) {
    X509_VERIFY_PARAM_set1_host(parameters, name.data(), name.size());
  }
  X509_verify_cert(context);
  const std::string verdict = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
  X509_STORE_CTX_free(context);
  return verdict;
}

class CertificateAuthorityTest : public testing::Test {
 protected:
  const CertificateAndKey ca_ = MakeCa("mcsa test", absl::Hours(48), kNow).value();

  CertificateAndKey Sign(const std::vector<std::string>& names, absl::Duration lifetime = absl::Hours(24)) {
    return SignLeaf(ca_.certificate, ca_.key, names, lifetime, kNow).value();
  }
};

TEST_F(CertificateAuthorityTest, ALeafIsGoodForItsNamesOnly) {
  const CertificateAndKey leaf = Sign({kName, "127.0.0.1"});
  EXPECT_EQ(Verify(leaf.certificate, ca_.certificate, kName, kNow), "ok");
  EXPECT_EQ(Verify(leaf.certificate, ca_.certificate, "127.0.0.1", kNow), "ok");
  EXPECT_THAT(Verify(leaf.certificate, ca_.certificate, "other.svc", kNow), HasSubstr("mismatch"));
}

TEST_F(CertificateAuthorityTest, ALeafLivesFromJustBeforeNowToItsEnd) {
  const CertificateAndKey leaf = Sign({kName});
  EXPECT_EQ(leaf.not_after, kNow + absl::Hours(24));
  EXPECT_EQ(Verify(leaf.certificate, ca_.certificate, kName, kNow - absl::Minutes(4)), "ok");
  EXPECT_THAT(Verify(leaf.certificate, ca_.certificate, kName, kNow - absl::Minutes(6)), HasSubstr("not yet valid"));
  EXPECT_THAT(Verify(leaf.certificate, ca_.certificate, kName, kNow + absl::Hours(25)), HasSubstr("expired"));
}

TEST_F(CertificateAuthorityTest, ALeafNeverOutlivesItsCa) {
  EXPECT_EQ(Sign({kName}, absl::Hours(1000)).not_after, ca_.not_after);
}

TEST_F(CertificateAuthorityTest, InABundleOfSeveralTheRightOneIsFound) {
  const std::string other = MakeCa("mcsa test", absl::Hours(48), kNow)->certificate;
  const CertificateAndKey leaf = Sign({kName});
  EXPECT_EQ(Verify(leaf.certificate, other + ca_.certificate, kName, kNow), "ok");
  EXPECT_EQ(Verify(leaf.certificate, ca_.certificate + other, kName, kNow), "ok");
  EXPECT_THAT(Verify(leaf.certificate, other, kName, kNow), Not("ok"));
}

TEST_F(CertificateAuthorityTest, ALongCommonNameIsCut) {
  EXPECT_TRUE(MakeCa(std::string(200, 'x'), absl::Hours(1), kNow).ok());
}

TEST_F(CertificateAuthorityTest, ANameCannotSmuggleInAnother) {
  const CertificateAndKey leaf = Sign({"a.svc,DNS:kubernetes.default.svc"});
  EXPECT_THAT(Verify(leaf.certificate, ca_.certificate, "kubernetes.default.svc", kNow), HasSubstr("mismatch"));
}

TEST_F(CertificateAuthorityTest, ALeafSignsNothing) {
  const CertificateAndKey leaf = Sign({kName});
  const auto below = SignLeaf(leaf.certificate, leaf.key, {"evil.svc"}, absl::Hours(1), kNow);
  ASSERT_TRUE(below.ok());
  EXPECT_THAT(Verify(below->certificate, ca_.certificate + leaf.certificate, "evil.svc", kNow), Not("ok"));
}

TEST_F(CertificateAuthorityTest, KeyAndCertificateBelongTogether) {
  const CertificateAndKey leaf = Sign({kName});
  EXPECT_TRUE(BuildTlsContext(ca_.certificate, leaf.certificate, leaf.key).ok());
}

TEST_F(CertificateAuthorityTest, AMalformedCaIsAnError) {
  const SecretString other_key = MakeCa("other", absl::Hours(1), kNow)->key;
  for (const auto& [certificate, key] :
       {std::pair("", ca_.key), std::pair("junk", ca_.key), std::pair(ca_.certificate.c_str(), SecretString("junk")),
        std::pair(ca_.certificate.c_str(), other_key)}) {
    EXPECT_EQ(SignLeaf(certificate, key, {kName}, absl::Hours(1), kNow).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(SignLeaf(ca_.certificate, ca_.key, {}, absl::Hours(1), kNow).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace k8s
