#include "sidecar/reconnect.h"

#include <absl/random/distributions.h>

#include <algorithm>

namespace sidecar {
namespace {

constexpr absl::Duration kSpread = absl::Milliseconds(500);
constexpr absl::Duration kMaxDelay = absl::Seconds(15);
constexpr int kMaxDoublings = 5;  // beyond that kMaxDelay is reached

}  // namespace

absl::Duration ReconnectDelay(int failures, absl::BitGenRef rng) {
  if (failures == 0) return kSpread * absl::Uniform(rng, 0.0, 1.0);
  const absl::Duration whole = std::min(kMaxDelay, kSpread * (1 << std::min(failures, kMaxDoublings)));
  return whole * absl::Uniform(rng, 0.5, 1.0);
}

std::vector<std::string> OrderAddresses(std::vector<std::string> addresses, const std::string& last,
                                        absl::BitGenRef rng) {
  std::shuffle(addresses.begin(), addresses.end(), rng);
  std::stable_partition(addresses.begin(), addresses.end(),
                        [&](const std::string& address) { return address != last; });
  return addresses;
}

}  // namespace sidecar
