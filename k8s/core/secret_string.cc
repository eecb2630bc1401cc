#include "k8s/core/secret_string.h"

#include <openssl/crypto.h>

#include <utility>

namespace k8s {

SecretString::SecretString(SecretString&& other) noexcept : text_(other.text_) {
  // Copied, not moved: a short std::string lies inside the object, and a move would leave it there unwiped.
  other.Wipe();
}

SecretString& SecretString::operator=(SecretString other) noexcept {
  text_.swap(other.text_);
  return *this;
}

void SecretString::Wipe() {
  // The capacity, not the size: a shorter value may have replaced a longer one.
  text_.resize(text_.capacity());
  OPENSSL_cleanse(text_.data(), text_.size());
  text_.clear();
}

bool operator==(const SecretString& a, const SecretString& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.text_.data(), b.text_.data(), a.size()) == 0;
}

}  // namespace k8s
