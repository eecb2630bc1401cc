#ifndef SIDECAR_RECONNECT_H_
#define SIDECAR_RECONNECT_H_

#include <absl/random/bit_gen_ref.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

// PURE: when and where to open the stream to the broker again.
namespace sidecar {

// How long to wait after a stream has ended. `failures` counts the tries since the last stream that brought something:
// 0 spreads the streams of a replica that went over half a second; then about 1, 2, 4, 8 and at most 15 seconds, of
// which a random half is left out, so that sidecars that lost a broker together do not come back together.
absl::Duration ReconnectDelay(int failures, absl::BitGenRef rng);

// In which order to try a broker's replicas: at random, so that they share the sidecars, and the one that served last
// at the end, because it has just gone or asked us to leave.
std::vector<std::string> OrderAddresses(std::vector<std::string> addresses, const std::string& last,
                                        absl::BitGenRef rng);

}  // namespace sidecar

#endif  // SIDECAR_RECONNECT_H_
