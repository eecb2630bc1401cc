#ifndef BROKER_METRICS_H_
#define BROKER_METRICS_H_

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <memory>
#include <mutex>
#include <string>

namespace broker {

// All metrics of the broker, named and explained in one place (docs/operations.md lists them). Labels are names of
// clusters and words of ours, never of imports: their number would grow with the cluster. Thread-safe.
class Metrics {
 public:
  Metrics();

  void CountTokenRequest(const std::string& cluster, const absl::Status& status, absl::Duration took);
  void CountReconcile(const std::string& result);
  void SetLeader(bool leads);
  void SetQueueDepth(size_t depth);
  void SetImports(size_t ready, size_t not_ready);
  void SetSource(const std::string& cluster, bool reachable);
  void RemoveSource(const std::string& cluster);
  // How long the broker's own credential for the source still lives.
  void SetSourceCredentialEnd(const std::string& cluster, absl::Time end);

  // The gRPC API. `method` is a word of ours.
  void CountCall(const std::string& method, const absl::Status& status);
  void CountStreamMessage();
  void SetStreams(size_t open);
  void SetGrpcCertificateEnd(absl::Time end);

  // The text format 0.0.4 that Prometheus scrapes.
  std::string Render() const;

 private:
  // What is removed must not be in another thread's hands: for the families of sources.
  mutable std::mutex mu_;
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& token_requests_;
  prometheus::Family<prometheus::Histogram>& token_request_seconds_;
  prometheus::Family<prometheus::Counter>& reconciles_;
  prometheus::Family<prometheus::Gauge>& imports_;
  prometheus::Family<prometheus::Gauge>& source_reachable_;
  prometheus::Family<prometheus::Gauge>& source_credential_end_;
  prometheus::Gauge& leader_;
  prometheus::Gauge& queue_depth_;
  prometheus::Family<prometheus::Counter>& grpc_calls_;
  prometheus::Counter& grpc_stream_messages_;
  prometheus::Gauge& grpc_streams_;
  prometheus::Gauge& grpc_certificate_end_;
};

}  // namespace broker

#endif  // BROKER_METRICS_H_
