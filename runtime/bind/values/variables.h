// Parameters and `let`s of a plan, with the values of one run.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan.pb.h"
#include "runtime/bind/issue.h"
#include "runtime/bind/values/value.h"

namespace ckmap {

class BoundVariables : public Scope {
 public:
  Value Variable(const std::string& name) const override;
  const std::map<std::string, Value>& values() const { return values_; }
  void Set(const std::string& name, Value value) { values_[name] = std::move(value); }

 private:
  std::map<std::string, Value> values_;
};

// Precedence: -D, then config.json, then the default. What is missing or of the wrong type is added to
// `issues` (CK13xx), each once. An Error if the config is not a JSON object.
Result<BoundVariables> BindVariables(const plan::Plan& plan, const std::map<std::string, std::string>& defines,
                                     const std::string& config_json, const std::string& config_path,
                                     std::vector<Issue>& issues);

}  // namespace ckmap
