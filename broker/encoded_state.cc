#include "broker/encoded_state.h"

#include <openssl/crypto.h>

#include <cstdint>

namespace broker {
namespace {

void WipeAndFree(void* bytes, size_t size) {
  OPENSSL_cleanse(bytes, size);
  delete[] static_cast<uint8_t*>(bytes);
}

}  // namespace

grpc::Slice EncodedState::Get(absl::Duration now, absl::FunctionRef<void(mcsa::v1::ImportState&)> make) const {
  std::lock_guard lock(mu_);  // whoever waits for it would have to do the same work
  if (now - made_at_ < kMoment) return bytes_;
  mcsa::v1::WatchConfigsResponse response;
  make(*response.add_imports());
  const size_t size = response.ByteSizeLong();
  auto* const bytes = new uint8_t[size];
  response.SerializeWithCachedSizesToArray(bytes);
  bytes_ = grpc::Slice(bytes, size, &WipeAndFree);
  made_at_ = now;
  return bytes_;
}

}  // namespace broker
