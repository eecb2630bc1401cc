#include "k8s/api/serving_certificate.h"

#include <absl/strings/escaping.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "k8s/core/ca_rotation.h"
#include "k8s/fakes/fake_clock.h"
#include "k8s/fakes/fake_transport.h"

namespace k8s {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kPath[] = "/api/v1/namespaces/ns/secrets/ca";
constexpr absl::Duration kPatience = absl::Seconds(10);

class ServingCertificateTest : public testing::Test {
 protected:
  void PutCa(absl::Duration lifetime) {
    const CertificateAndKey ca = MakeCa("test", lifetime, clock_.Now()).value();
    api_.Put(kPath, JsonObject{{"data", JsonObject{{kCaCertificateKey, absl::Base64Escape(ca.certificate)},
                                                   {kCaKeyKey, absl::Base64Escape(std::string(ca.key.Reveal()))}}}});
  }

  void Start() {
    certificate_ = std::make_unique<ServingCertificate>(
        client_, clock_,
        ServingCertificate::Options{.secret = {"ns", "ca"},
                                    .names = {"server.test"},
                                    .lifetime = absl::Hours(24),
                                    .retry = absl::Milliseconds(10),
                                    .on_secret = [this] { Count(secrets_); }},
        [this](const CertificateAndKey&) { Count(certificates_); },
        [this](const absl::Status& status) {
          std::lock_guard lock(mu_);
          problems_.emplace_back(status.message());
          changed_.notify_all();
        });
  }

  void Count(int& counter) {
    std::lock_guard lock(mu_);
    ++counter;
    changed_.notify_all();
  }

  int Certificates() {
    std::lock_guard lock(mu_);
    return certificates_;
  }

  bool WaitUntil(const std::function<bool()>& condition) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, absl::ToChronoNanoseconds(kPatience), condition);
  }

  FakeTransport api_;
  Client client_{api_};
  FakeClock clock_;
  std::mutex mu_;
  std::condition_variable changed_;
  int secrets_ = 0;  // guarded by mu_, as the next two
  int certificates_ = 0;
  std::vector<std::string> problems_;
  std::unique_ptr<ServingCertificate> certificate_;  // last: its threads use the above
};

TEST_F(ServingCertificateTest, SignsAgainWhenAnotherCaComes) {
  PutCa(absl::Hours(48));
  Start();
  EXPECT_TRUE(certificate_->WaitForFirst(kPatience));
  PutCa(absl::Hours(48));
  EXPECT_TRUE(WaitUntil([&] { return certificates_ == 2; }));
}

TEST_F(ServingCertificateTest, SignsAgainAtHalfOfItsLife) {
  PutCa(absl::Hours(48));
  Start();
  EXPECT_TRUE(certificate_->WaitForFirst(kPatience));
  clock_.Advance(absl::Hours(12) - absl::Seconds(1));
  absl::SleepFor(absl::Milliseconds(100));  // for what must not happen
  EXPECT_EQ(Certificates(), 1);
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(WaitUntil([&] { return certificates_ == 2; }));
}

TEST_F(ServingCertificateTest, ServesOnWhenTheSecretGoesAndTellsOfIt) {
  PutCa(absl::Hours(48));
  Start();
  EXPECT_TRUE(certificate_->WaitForFirst(kPatience));
  api_.Remove(kPath);
  EXPECT_TRUE(WaitUntil([&] { return secrets_ == 2; }));
  EXPECT_EQ(certificates_, 1);
  EXPECT_THAT(problems_, ElementsAre());
}

// Half of a life that is over lies in the past: without a pause between, this would sign as fast as it can.
TEST_F(ServingCertificateTest, SignsNothingWithACaThatHasEnded) {
  PutCa(absl::Hours(1));
  clock_.Advance(absl::Hours(2));
  Start();
  EXPECT_TRUE(WaitUntil([&] { return !problems_.empty(); }));
  EXPECT_FALSE(certificate_->WaitForFirst(absl::Milliseconds(100)));
  std::lock_guard lock(mu_);
  EXPECT_EQ(certificates_, 0);
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("the CA has ended")));
}

}  // namespace
}  // namespace k8s
