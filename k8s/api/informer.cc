#include "k8s/api/informer.h"

#include "k8s/api/log.h"

namespace k8s {

InformerHooks InformerHooks::OrLog(const std::string& plural) && {
  if (!on_state) {
    on_state = [plural](const absl::Status& status) {
      if (status.ok()) return;
      Log(LogLevel::kWarn, "cannot watch; will try again",
          {{"what", plural}, {"error", std::string(status.message())}});
    };
  }
  if (!on_bad) {
    on_bad = [plural](const ObjectKey& key, const absl::Status& status) {
      Log(LogLevel::kError, "ignored an object that is malformed",
          {{"what", plural}, {"object", ToString(key)}, {"error", std::string(status.message())}});
    };
  }
  return std::move(*this);
}

}  // namespace k8s
