#ifndef WEBHOOK_METRICS_H_
#define WEBHOOK_METRICS_H_

#include <absl/time/time.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <string>

namespace webhook {

// All metrics of the webhook (docs/operations.md lists them). Labels are words of ours, never of users. Thread-safe.
class Metrics {
 public:
  Metrics();

  // `result`: "allowed", "unchanged", "invalid", "not_ready", "error".
  void CountAdmission(const std::string& result, absl::Duration took);
  void CountMalformed();
  // `result`: "found", "missing", "error".
  void CountLiveGet(const std::string& result);
  void SetCertificateEnd(absl::Time end);
  void SetConnections(size_t open, size_t evicted);

  // The text format 0.0.4 that Prometheus scrapes.
  std::string Render() const;

 private:
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& admissions_;
  prometheus::Histogram& admission_seconds_;
  prometheus::Counter& malformed_;
  prometheus::Family<prometheus::Counter>& live_gets_;
  prometheus::Gauge& certificate_end_;
  prometheus::Gauge& connections_;
  prometheus::Gauge& evicted_;
};

}  // namespace webhook

#endif  // WEBHOOK_METRICS_H_
