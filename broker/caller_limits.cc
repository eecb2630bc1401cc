#include "broker/caller_limits.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace broker {

absl::Status CallerLimits::Admit(const std::string& uid, absl::Duration now) {
  std::lock_guard lock(mu_);
  if (accounts_.size() >= forget_at_) ForgetIdleLocked(now);
  Account& account = accounts_.try_emplace(uid, Account{.calls_left = limits_.burst, .at = now}).first->second;
  RefillLocked(account, now);
  if (account.calls_left < 1) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the pod called more than ", limits_.burst, " times at once; call again with back-off"));
  }
  account.calls_left -= 1;
  return absl::OkStatus();
}

absl::Status CallerLimits::Open(const std::string& uid, absl::Duration now) {
  std::lock_guard lock(mu_);
  Account& account = accounts_.try_emplace(uid, Account{.calls_left = limits_.burst, .at = now}).first->second;
  if (account.streams >= limits_.streams) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the pod has ", limits_.streams, " streams open; close one, or call again with back-off"));
  }
  ++account.streams;
  return absl::OkStatus();
}

void CallerLimits::Close(const std::string& uid, absl::Duration now) {
  std::lock_guard lock(mu_);
  const auto found = accounts_.find(uid);
  if (found == accounts_.end()) return;
  --found->second.streams;
  RefillLocked(found->second, now);
  if (found->second.streams <= 0 && found->second.calls_left >= limits_.burst) accounts_.erase(found);
}

size_t CallerLimits::size() const {
  std::lock_guard lock(mu_);
  return accounts_.size();
}

void CallerLimits::RefillLocked(Account& account, absl::Duration now) {
  account.calls_left =
      std::min(limits_.burst, account.calls_left + absl::ToDoubleSeconds(now - account.at) * limits_.calls_per_second);
  account.at = now;
}

// Nothing is lost by forgetting who could begin anew with a full account. Seldom, so that it costs each call little.
void CallerLimits::ForgetIdleLocked(absl::Duration now) {
  absl::erase_if(accounts_, [&](const auto& entry) {
    Account account = entry.second;
    RefillLocked(account, now);
    return account.streams <= 0 && account.calls_left >= limits_.burst;
  });
  forget_at_ = std::max<size_t>(1024, 2 * accounts_.size());
}

}  // namespace broker
