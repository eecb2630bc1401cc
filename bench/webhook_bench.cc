#include "bench/webhook_bench.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "k8s/api/certificate_authority.h"
#include "k8s/api/client.h"
#include "k8s/api/clock.h"
#include "k8s/api/http_server.h"
#include "k8s/api/httplib_client.h"
#include "k8s/api/informer_store.h"
#include "k8s/api/read_file.h"
#include "k8s/api/tls_context.h"
#include "k8s/core/json.h"
#include "k8s/core/server_url.h"
#include "k8s/fakes/fake_transport.h"
#include "sidecar/atomic_files.h"
#include "webhook/admission_handler.h"

namespace bench {
namespace {

constexpr int kAdmissionsARound = 1000;
constexpr char kNamespace[] = "default";  // of the pod
constexpr char kImport[] = "east";        // that it asks for

// What an API server of 1.37 sent for a Deployment's pod, without white space, as it sends it.
std::string ReviewBody() {
  const auto text = k8s::ReadFile("bench/admission_review.json");
  if (!text.ok()) Fail(absl::StrCat(std::string(text.status().message()), "; run tools/bench"));
  return boost::json::serialize(k8s::ParseJson(text->Reveal()).value());
}

k8s::CertificateAndKey MakeCertificate() {
  const k8s::CertificateAndKey ca = k8s::MakeCa("bench", absl::Hours(24), absl::Now()).value();
  return k8s::SignLeaf(ca.certificate, ca.key, {"127.0.0.1"}, absl::Hours(24), absl::Now()).value();
}

double CpuMicroseconds(pid_t process) {
  clockid_t clock = 0;
  timespec used{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &used) != 0) Fail("a webhook ended");
  return static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) / 1e3;
}

// RunWebhook in a process of its own.
class Server {
 public:
  explicit Server(const std::string& flag) : process_({"/proc/self/exe", flag, folder_ / "port"}, folder_ / "log") {
    Await("a webhook's start", absl::Seconds(30), [&] { return std::filesystem::exists(folder_ / "port"); });
  }

  Webhook webhook() const {
    const std::string port(k8s::ReadFile(folder_ / "port")->Reveal());
    return {.url = absl::StrCat("https://127.0.0.1:", port, "/mutate-pods"), .process = process_.id()};
  }

 private:
  const Folder folder_;
  const Process process_;
};

// One connection to a webhook that is kept, as an API server's, and what was measured of it.
class Caller {
 public:
  Caller(const Webhook& webhook, std::string body) : process_(webhook.process), body_(std::move(body)) {
    const absl::StatusOr<k8s::ServerUrl> url = k8s::ParseServerUrl(webhook.url, "the webhook");
    const auto tls = k8s::BuildTlsContext("", "", k8s::SecretString());
    auto client = k8s::MakeHttplibClient({.server = webhook.url, .tls = tls.value(), .insecure_skip_tls_verify = true});
    if (!client.ok()) Fail(std::string(client.status().message()));
    client_ = *std::move(client);
    path_ = url->path;
  }

  // A round of admissions. `patched`: whether answers must hold a patch.
  void Measure(bool patched) {
    const double start = CpuMicroseconds(process_);
    std::vector<double> times;
    for (int i = 0; i < kAdmissionsARound; ++i) {
      times.push_back(Milliseconds([&] {
        const auto answer = client_->Post(path_, body_, "application/json");
        if (!answer || answer->status != 200 || patched != (answer->body.find("\"patch\":") != std::string::npos)) {
          Fail(absl::StrCat("an admission failed: ", answer ? answer->body : httplib::to_string(answer.error())));
        }
      }));
    }
    p99s_.push_back(Percentile(times, 0.99));
    cpu_.push_back((CpuMicroseconds(process_) - start) / kAdmissionsARound);
  }

  double p99_ms() const { return Median(p99s_); }
  double cpu_us() const { return Median(cpu_); }

 private:
  const pid_t process_;
  const std::string body_;
  std::unique_ptr<httplib::ClientImpl> client_;
  std::string path_;
  std::vector<double> p99s_, cpu_;
};

}  // namespace

std::vector<Result> Admission(const std::optional<Webhook>& peer) {
  const std::string body = ReviewBody();
  const Server server("--webhook"), empty_server("--empty-webhook");
  Caller ours(server.webhook(), body), empty(empty_server.webhook(), body);
  std::optional<Caller> other;
  if (peer) other.emplace(*peer, body);
  for (int round = 0; round < kRounds; ++round) {
    ours.Measure(/*patched=*/true);
    empty.Measure(/*patched=*/false);
    if (other) other->Measure(/*patched=*/true);
  }
  std::vector<Result> results = {
      {.name = "admission-p99", .value = ours.p99_ms(), .unit = "ms", .target = 2},
      {.name = "admission-cpu", .value = ours.cpu_us(), .unit = "us", .floor = empty.cpu_us(), .target = 5}};
  if (other) {
    results.push_back(
        {.name = "admission-cpu-peer", .value = ours.cpu_us(), .unit = "us", .floor = other->cpu_us(), .target = 0.2});
  }
  return results;
}

void RunWebhook(const std::string& port_file, bool empty) {
  k8s::FakeTransport transport;  // never asked: what the pod needs is in the caches
  const k8s::Client api_server(transport);
  k8s::InformerStore<webhook::Import> imports;
  imports.Set({kNamespace, kImport}, std::make_shared<const webhook::Import>(webhook::Import{
                                         .name = kImport, .uid = "u", .server = "https://10.0.0.1:6443"}));
  k8s::InformerStore<k8s::ObjectMeta> namespaces;
  webhook::Metrics metrics;
  const webhook::AdmissionHandler handler({.target = api_server,
                                           .imports = imports,
                                           .namespaces = namespaces,
                                           .metrics = metrics,
                                           .clock = k8s::SystemClock(),
                                           .sidecar_image = "multicluster-service-account/sidecar:bench"});
  const auto server =
      k8s::HttpServer::Start({.address = "127.0.0.1:0", .tls = true}, [&](const k8s::ServerRequest& request) {
        if (empty || request.method != "POST") return k8s::ServerResponse{.body = "{}"};
        absl::StatusOr<std::string> answer = handler.Review(request.body);
        return k8s::ServerResponse{.status = answer.ok() ? 200 : 400,
                                   .content_type = "application/json",
                                   .body = answer.ok() ? *std::move(answer) : std::string(answer.status().message())};
      });
  if (!server.ok()) Fail(std::string(server.status().message()));
  if (const absl::Status set = (*server)->SetCertificate(MakeCertificate()); !set.ok())
    Fail(std::string(set.message()));
  if (!sidecar::WriteFile(port_file, absl::StrCat((*server)->port()), 0600).ok()) Fail("cannot write the port");
  for (;;) pause();
}

}  // namespace bench
