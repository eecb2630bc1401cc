#ifndef K8S_CORE_SECRET_STRING_H_
#define K8S_CORE_SECRET_STRING_H_

#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>

namespace k8s {

// A token, key or password. It has no formatter and no conversion, so that it reaches no log, event, metric or error
// text by accident: code that must write it out says Reveal(). Its memory is wiped when it goes.
//
// A value like std::string; copies are wiped each on their own. Threads: as std::string.
class SecretString {
 public:
  SecretString() = default;
  explicit SecretString(std::string_view text) : text_(text) {}
  SecretString(const SecretString&) = default;
  SecretString(SecretString&& other) noexcept;
  SecretString& operator=(SecretString other) noexcept;
  ~SecretString() { Wipe(); }

  // The secret itself, valid as long as this object is.
  std::string_view Reveal() const { return text_; }

  bool empty() const { return text_.empty(); }
  size_t size() const { return text_.size(); }

  // Takes as long for a difference in the first byte as for one in the last. The length is not hidden.
  friend bool operator==(const SecretString& a, const SecretString& b);

 private:
  void Wipe();

  std::string text_;
};

std::ostream& operator<<(std::ostream&, const SecretString&) = delete;

}  // namespace k8s

#endif  // K8S_CORE_SECRET_STRING_H_
