#ifndef K8S_API_ENVIRONMENT_H_
#define K8S_API_ENVIRONMENT_H_

#include <map>
#include <string>

namespace k8s {

// The environment's variables; a value, so that tests need no setenv.
struct Environment {
  std::map<std::string, std::string> variables;
  static Environment OfThisProcess();
  std::string Get(const std::string& name) const;  // "" when unset
};

}  // namespace k8s

#endif  // K8S_API_ENVIRONMENT_H_
