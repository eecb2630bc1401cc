#include "webhook/metrics.h"

#include <prometheus/text_serializer.h>

namespace webhook {

Metrics::Metrics()
    : admissions_(prometheus::BuildCounter()
                      .Name("mcsa_admissions_total")
                      .Help("Pods looked at, by result: allowed, unchanged, invalid, not_ready or error.")
                      .Register(registry_)),
      admission_seconds_(prometheus::BuildHistogram()
                             .Name("mcsa_admission_duration_seconds")
                             .Help("Time from a whole request to its answer.")
                             .Register(registry_)
                             .Add({}, prometheus::Histogram::BucketBoundaries{0.0005, 0.001, 0.002, 0.005, 0.01, 0.05,
                                                                              0.25, 1, 2.5, 5})),
      malformed_(prometheus::BuildCounter()
                     .Name("mcsa_admission_malformed_total")
                     .Help("Requests that were no AdmissionReview.")
                     .Register(registry_)
                     .Add({})),
      live_gets_(prometheus::BuildCounter()
                     .Name("mcsa_admission_live_gets_total")
                     .Help("Imports asked for live because the cache did not have them ready, by result: found, "
                           "missing or error.")
                     .Register(registry_)),
      certificate_end_(prometheus::BuildGauge()
                           .Name("mcsa_webhook_certificate_expiration_timestamp_seconds")
                           .Help("When the serving certificate ends; it is renewed at half its life.")
                           .Register(registry_)
                           .Add({})),
      connections_(prometheus::BuildGauge()
                       .Name("mcsa_webhook_connections")
                       .Help("Open connections to the webhook's HTTPS port.")
                       .Register(registry_)
                       .Add({})),
      evicted_(prometheus::BuildGauge()
                   .Name("mcsa_webhook_evicted_connections")
                   .Help("Connections closed because there were too many, or bodies too large, since the start.")
                   .Register(registry_)
                   .Add({})) {}

void Metrics::CountAdmission(const std::string& result, absl::Duration took) {
  admissions_.Add({{"result", result}}).Increment();
  admission_seconds_.Observe(absl::ToDoubleSeconds(took));
}

void Metrics::CountMalformed() {
  malformed_.Increment();
}

void Metrics::CountLiveGet(const std::string& result) {
  live_gets_.Add({{"result", result}}).Increment();
}

void Metrics::SetCertificateEnd(absl::Time end) {
  certificate_end_.Set(static_cast<double>(absl::ToUnixSeconds(end)));
}

void Metrics::SetConnections(size_t open, size_t evicted) {
  connections_.Set(static_cast<double>(open));
  evicted_.Set(static_cast<double>(evicted));
}

std::string Metrics::Render() const {
  return prometheus::TextSerializer().Serialize(registry_.Collect());
}

}  // namespace webhook
