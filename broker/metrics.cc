#include "broker/metrics.h"

#include <prometheus/text_serializer.h>

namespace broker {

Metrics::Metrics()
    : token_requests_(prometheus::BuildCounter()
                          .Name("mcsa_token_requests_total")
                          .Help("TokenRequests sent to source clusters, by outcome.")
                          .Register(registry_)),
      token_request_seconds_(prometheus::BuildHistogram()
                                 .Name("mcsa_token_request_duration_seconds")
                                 .Help("Time until a source cluster answered a TokenRequest.")
                                 .Register(registry_)),
      reconciles_(prometheus::BuildCounter()
                      .Name("mcsa_reconciles_total")
                      .Help("Imports looked at, by result: done or retry.")
                      .Register(registry_)),
      imports_(
          prometheus::BuildGauge().Name("mcsa_imports").Help("Imports by whether they are ready.").Register(registry_)),
      source_reachable_(prometheus::BuildGauge()
                            .Name("mcsa_source_reachable")
                            .Help("1 if the source cluster answers, else 0.")
                            .Register(registry_)),
      source_credential_end_(prometheus::BuildGauge()
                                 .Name("mcsa_source_credential_expiration_timestamp_seconds")
                                 .Help("When the broker's own credential for the source cluster ends.")
                                 .Register(registry_)),
      leader_(prometheus::BuildGauge()
                  .Name("mcsa_leader")
                  .Help("1 if this replica reconciles, else 0.")
                  .Register(registry_)
                  .Add({})),
      queue_depth_(prometheus::BuildGauge()
                       .Name("mcsa_workqueue_depth")
                       .Help("Imports that wait to be looked at, due or not.")
                       .Register(registry_)
                       .Add({})),
      grpc_calls_(prometheus::BuildCounter()
                      .Name("mcsa_grpc_calls_total")
                      .Help("Calls of the gRPC API by method and status code; of a stream, as it begins.")
                      .Register(registry_)),
      grpc_stream_messages_(prometheus::BuildCounter()
                                .Name("mcsa_grpc_stream_messages_total")
                                .Help("Messages sent on streams.")
                                .Register(registry_)
                                .Add({})),
      grpc_streams_(prometheus::BuildGauge()
                        .Name("mcsa_grpc_streams")
                        .Help("Streams open: as a rule one for each pod with a sidecar.")
                        .Register(registry_)
                        .Add({})),
      grpc_certificate_end_(prometheus::BuildGauge()
                                .Name("mcsa_grpc_certificate_expiration_timestamp_seconds")
                                .Help("When the certificate of the gRPC API ends; it is replaced at half its life.")
                                .Register(registry_)
                                .Add({})) {}

void Metrics::CountTokenRequest(const std::string& cluster, const absl::Status& status, absl::Duration took) {
  token_requests_.Add({{"cluster", cluster}, {"code", absl::StatusCodeToString(status.code())}}).Increment();
  token_request_seconds_
      .Add({{"cluster", cluster}},
           prometheus::Histogram::BucketBoundaries{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10})
      .Observe(absl::ToDoubleSeconds(took));
}

void Metrics::CountReconcile(const std::string& result) {
  reconciles_.Add({{"result", result}}).Increment();
}

void Metrics::SetLeader(bool leads) {
  leader_.Set(leads ? 1 : 0);
}

void Metrics::SetQueueDepth(size_t depth) {
  queue_depth_.Set(static_cast<double>(depth));
}

void Metrics::SetImports(size_t ready, size_t not_ready) {
  imports_.Add({{"ready", "true"}}).Set(static_cast<double>(ready));
  imports_.Add({{"ready", "false"}}).Set(static_cast<double>(not_ready));
}

void Metrics::SetSource(const std::string& cluster, bool reachable) {
  std::lock_guard lock(mu_);
  source_reachable_.Add({{"cluster", cluster}}).Set(reachable ? 1 : 0);
}

void Metrics::RemoveSource(const std::string& cluster) {
  std::lock_guard lock(mu_);
  source_reachable_.Remove(&source_reachable_.Add({{"cluster", cluster}}));
  source_credential_end_.Remove(&source_credential_end_.Add({{"cluster", cluster}}));
}

void Metrics::SetSourceCredentialEnd(const std::string& cluster, absl::Time end) {
  std::lock_guard lock(mu_);
  source_credential_end_.Add({{"cluster", cluster}}).Set(absl::ToDoubleSeconds(end - absl::UnixEpoch()));
}

void Metrics::CountCall(const std::string& method, const absl::Status& status) {
  grpc_calls_.Add({{"method", method}, {"code", absl::StatusCodeToString(status.code())}}).Increment();
}

void Metrics::CountStreamMessage() {
  grpc_stream_messages_.Increment();
}

void Metrics::SetStreams(size_t open) {
  grpc_streams_.Set(static_cast<double>(open));
}

void Metrics::SetGrpcCertificateEnd(absl::Time end) {
  grpc_certificate_end_.Set(absl::ToDoubleSeconds(end - absl::UnixEpoch()));
}

std::string Metrics::Render() const {
  return prometheus::TextSerializer().Serialize(registry_.Collect());
}

}  // namespace broker
