#include "broker/caller_limits.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace broker {

absl::Status CallerLimits::Admit(const std::string& uid, absl::Duration now) {
  std::lock_guard lock(mu_);
  if (accounts_.size() >= forget_at_) ForgetIdleLocked(now);
  if (!AccountLocked(uid, now).calls.Take(now)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the pod called more than ", limits_.burst, " times at once; call again with back-off"));
  }
  return absl::OkStatus();
}

absl::Status CallerLimits::Open(const std::string& uid, absl::Duration now) {
  std::lock_guard lock(mu_);
  Account& account = AccountLocked(uid, now);
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
  if (IsIdle(found->second, now)) accounts_.erase(found);
}

size_t CallerLimits::size() const {
  std::lock_guard lock(mu_);
  return accounts_.size();
}

CallerLimits::Account& CallerLimits::AccountLocked(const std::string& uid, absl::Duration now) {
  return accounts_.try_emplace(uid, Account{.calls = {limits_.burst, limits_.calls_per_second, now}}).first->second;
}

bool CallerLimits::IsIdle(Account& account, absl::Duration now) {
  return account.streams <= 0 && account.calls.IsFull(now);
}

// Nothing is lost by forgetting who could begin anew with a full account. Seldom, so that it costs each call little.
void CallerLimits::ForgetIdleLocked(absl::Duration now) {
  absl::erase_if(accounts_, [&](auto& entry) { return IsIdle(entry.second, now); });
  forget_at_ = std::max<size_t>(1024, 2 * accounts_.size());
}

}  // namespace broker
