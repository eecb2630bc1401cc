#include "k8s/core/ca_rotation.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "k8s/core/build_secret.h"

namespace k8s {
namespace {

// Everything but the signing pair, which has keys of its own for those who only sign.
constexpr char kRotationKey[] = "rotation.json";

// When the last leaf that a retired CA can have signed has ended: a signer may have learnt of it late.
absl::Time TrustedUntil(const Ca& previous, const CaTiming& timing) {
  return std::min(previous.not_after, previous.since + timing.leaf_lifetime + timing.propagation);
}

// Whether there is no room for a signing CA and its successor besides the previous ones.
bool IsFull(const CaState& state, const CaTiming& timing) {
  return !state.previous.empty() && state.previous.size() + 2 > timing.max_trusted;
}

void DropEnded(CaState& state, const CaTiming& timing, absl::Time now) {
  std::erase_if(state.previous, [&](const Ca& ca) { return now >= TrustedUntil(ca, timing); });
  while (IsFull(state, timing) && now >= state.previous.front().since + timing.propagation) {
    state.previous.erase(state.previous.begin());
  }
}

// Times are stored in whole seconds; rounded up, so that no wait becomes shorter.
absl::Time Ceil(absl::Time time) {
  return absl::UnixEpoch() + absl::Ceil(time - absl::UnixEpoch(), absl::Seconds(1));
}

void Activate(CaState& state, absl::Time now) {
  Ca retired = *std::exchange(state.signing, std::exchange(state.next, std::nullopt));
  state.signing->since = Ceil(now);
  retired.key = SecretString();
  retired.since = Ceil(now);
  state.previous.push_back(std::move(retired));
}

absl::Time HalfLife(const Ca& ca, const CaTiming& timing) {
  return ca.not_after - timing.ca_lifetime / 2;
}

JsonObject Build(const Ca& ca) {
  JsonObject object{
      {"certificate", ca.certificate}, {"since", ToRfc3339(ca.since)}, {"notAfter", ToRfc3339(ca.not_after)}};
  if (!ca.key.empty()) object["key"] = ca.key.Reveal();
  return object;
}

Ca Parse(const Json& json) {
  return {.certificate = StringAt(json, {"certificate"}),
          .key = SecretString(StringAt(json, {"key"})),
          .not_after = TimeAt(json, {"notAfter"}),
          .since = TimeAt(json, {"since"})};
}

}  // namespace

CaPlan PlanCaRotation(const CaState& stored, const std::string& rotate_requested_at, bool published,
                      const CaTiming& timing, absl::Time now) {
  CaPlan plan{.state = stored, .check_at = now};
  CaState& state = plan.state;
  if (!state.signing || state.signing->key.empty() || now >= state.signing->not_after) {
    state = {.rotate_requested_at = rotate_requested_at};
    plan.make = CaPlan::Make::kSigning;
    return plan;
  }
  if (state.next && !published) state.next->since = Ceil(now);
  if (state.next && now >= state.next->since + timing.propagation) Activate(state, now);
  DropEnded(state, timing, now);

  const bool requested = rotate_requested_at != state.rotate_requested_at;
  const bool full = IsFull(state, timing);  // the oldest can go soon: wait for that
  if (!state.next && !full && (requested || now >= HalfLife(*state.signing, timing))) {
    state.rotate_requested_at = rotate_requested_at;
    plan.make = CaPlan::Make::kNext;
    return plan;
  }
  plan.check_at = state.next ? state.next->since + timing.propagation : HalfLife(*state.signing, timing);
  for (const Ca& ca : state.previous) plan.check_at = std::min(plan.check_at, TrustedUntil(ca, timing));
  if (full) plan.check_at = std::min(plan.check_at, state.previous.front().since + timing.propagation);
  return plan;
}

void AddCa(CaPlan& plan, Ca made, absl::Time now) {
  made.since = Ceil(now);
  (plan.make == CaPlan::Make::kSigning ? plan.state.signing : plan.state.next) = std::move(made);
}

std::string BundleOf(const CaState& state) {
  std::string bundle;
  if (state.next) bundle += state.next->certificate;
  if (state.signing) bundle += state.signing->certificate;
  for (auto ca = state.previous.rbegin(); ca != state.previous.rend(); ++ca) bundle += ca->certificate;
  return bundle;
}

std::map<std::string, SecretString> BuildCaSecretData(const CaState& state) {
  JsonArray previous;
  for (const Ca& ca : state.previous) previous.push_back(Build(ca));
  JsonObject rotation{{"previous", std::move(previous)}, {"rotateRequestedAt", state.rotate_requested_at}};
  if (state.next) rotation["next"] = Build(*state.next);
  std::map<std::string, SecretString> data;
  if (state.signing) {
    rotation["since"] = ToRfc3339(state.signing->since);
    rotation["notAfter"] = ToRfc3339(state.signing->not_after);
    data[kCaCertificateKey] = SecretString(state.signing->certificate);
    data[kCaKeyKey] = state.signing->key;
  }
  data[kRotationKey] = SecretString(boost::json::serialize(rotation));
  return data;
}

absl::StatusOr<CaState> ParseCaSecret(const Json& secret) {
  const std::map<std::string, SecretString> data = ParseSecretData(secret);
  if (!data.contains(kRotationKey)) return CaState();
  const absl::StatusOr<Json> rotation = ParseJson(data.at(kRotationKey).Reveal());
  if (!rotation.ok() || !data.contains(kCaCertificateKey) || !data.contains(kCaKeyKey)) {
    return absl::InvalidArgumentError(absl::StrCat("its keys ", kRotationKey, ", ", kCaCertificateKey, " and ",
                                                   kCaKeyKey, " do not hold what we wrote; delete it to begin anew"));
  }
  CaState state;
  state.signing = Ca{.certificate = std::string(data.at(kCaCertificateKey).Reveal()),
                     .key = data.at(kCaKeyKey),
                     .not_after = TimeAt(*rotation, {"notAfter"}),
                     .since = TimeAt(*rotation, {"since"})};
  if (const Json* next = Find(*rotation, {"next"})) state.next = Parse(*next);
  for (const Json& ca : ArrayAt(*rotation, {"previous"})) state.previous.push_back(Parse(ca));
  state.rotate_requested_at = StringAt(*rotation, {"rotateRequestedAt"});
  return state;
}

}  // namespace k8s
