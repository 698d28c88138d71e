#include "runtime/bind/values/variables.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/json_document.h"
#include "runtime/bind/values/json_lookup.h"

namespace ckmap {
namespace {

using Type = plan::Variable;

std::string_view TypeName(Type::Type type) {
  switch (type) {
    case Type::FLOAT:
      return "float";
    case Type::BOOL:
      return "bool";
    case Type::STRING:
      return "string";
    case Type::JSON:
      return "json";
    default:
      return "int";
  }
}

std::optional<Value> ParseText(const std::string& text, Type::Type type) {
  const char* end = text.data() + text.size();
  switch (type) {
    case Type::BOOL:
      if (text == "true") return Value(true);
      if (text == "false") return Value(false);
      return std::nullopt;
    case Type::STRING:
      return Value(text);
    case Type::JSON: {
      if (text.empty()) return Value(text);
      std::optional<std::string> json = CanonicalJson(text);
      return json ? std::optional<Value>(*std::move(json)) : std::nullopt;
    }
    case Type::FLOAT: {
      const auto number = ParseReal(text);
      return number ? std::optional<Value>(*number) : std::nullopt;
    }
    default: {
      int64_t integer = 0;
      const auto [at, error] = std::from_chars(text.data(), end, integer);
      return error == std::errc() && at == end ? std::optional<Value>(integer) : std::nullopt;
    }
  }
}

std::optional<Value> FromJson(simdjson::dom::element element, Type::Type type) {
  int64_t integer = 0;
  double number = 0;
  bool boolean = false;
  std::string_view text;
  switch (type) {
    case Type::BOOL:
      return element.get(boolean) == simdjson::SUCCESS ? std::optional<Value>(boolean) : std::nullopt;
    case Type::STRING:
      return element.get(text) == simdjson::SUCCESS ? std::optional<Value>(std::string(text)) : std::nullopt;
    case Type::JSON:
      return Value(std::string(simdjson::minify(element)));
    case Type::FLOAT:
      if (element.get(integer) == simdjson::SUCCESS) {
        const auto exact = ExactDouble(integer);
        return exact ? std::optional<Value>(*exact) : std::nullopt;
      }
      if (element.is_uint64()) return std::nullopt;  // above 2^63: rounded
      return element.get(number) == simdjson::SUCCESS ? std::optional<Value>(number) : std::nullopt;
    default:
      return element.get(integer) == simdjson::SUCCESS ? std::optional<Value>(integer) : std::nullopt;
  }
}

// A dotted path into the config; nullopt if a key on the way is absent or the value is null.
std::optional<simdjson::dom::element> FindKey(simdjson::dom::element root, std::string_view path) {
  while (true) {
    const size_t dot = path.find('.');
    simdjson::dom::element next;
    if (root[path.substr(0, dot)].get(next) != simdjson::SUCCESS || next.is_null()) return std::nullopt;
    if (dot == std::string_view::npos) return next;
    root = next;
    path.remove_prefix(dot + 1);
  }
}

class VariableBinder {
 public:
  VariableBinder(const plan::Plan& plan, const std::map<std::string, std::string>& defines,
                 std::optional<simdjson::dom::element> config, const std::string& config_path,
                 std::vector<Issue>& issues)
      : plan_(plan), defines_(defines), config_(config), config_path_(config_path), issues_(issues) {}

  BoundVariables Run() {
    ResolveDefines();
    for (const plan::Variable& variable : plan_.variables()) {
      if (variable.is_param() && !variable.fixed()) {
        Param(variable);
      } else {
        Computed(variable);
      }
    }
    return std::move(variables_);
  }

 private:
  std::string Where(const plan::Location& loc) const {
    return fmt::format("{}:{}", plan_.files(static_cast<int>(loc.file())).name(), loc.line());
  }

  void Report(std::string code, const plan::Variable& variable, std::string message, std::string help) {
    issues_.push_back({std::move(code),
                       IssueSeverity::kError,
                       "",
                       std::move(message),
                       {fmt::format("`{}` is declared at {}", variable.name(), Where(variable.loc()))},
                       std::move(help)});
  }

  // Which parameter a -D means: its qualified name, or its last part where that is unique.
  void ResolveDefines() {
    for (const auto& [name, text] : defines_) {
      std::vector<const plan::Variable*> hits;
      for (const plan::Variable& variable : plan_.variables()) {
        if (!variable.is_param() || variable.fixed()) continue;
        if (variable.name() == name) {
          hits = {&variable};
          break;
        }
        if (variable.name().ends_with("." + name)) hits.push_back(&variable);
      }
      if (hits.empty()) {
        std::string known;
        for (const plan::Variable& variable : plan_.variables()) {
          if (variable.is_param() && !variable.fixed()) known += (known.empty() ? "" : ", ") + variable.name();
        }
        issues_.push_back({"CK1303",
                           IssueSeverity::kError,
                           "",
                           fmt::format("`-D {}`: the plan has no parameter of this name", name),
                           {},
                           known.empty() ? "the plan has no parameters" : "its parameters are " + known});
        continue;
      }
      // One value for all that share the name: packs that were given the same option.
      for (const plan::Variable* hit : hits) given_[hit->name()] = text;
    }
  }

  void Param(const plan::Variable& variable) {
    const auto given = given_.find(variable.name());
    if (given != given_.end()) {
      const auto value = ParseText(given->second, variable.type());
      if (value) {
        variables_.Set(variable.name(), *value);
      } else {
        Report("CK1302", variable,
               fmt::format("`-D {}={}` is not {}", variable.name(), given->second, Article(variable.type())),
               fmt::format("give {}", Article(variable.type())));
      }
      return;
    }
    if (config_ && !variable.config_key().empty()) {
      if (const auto element = FindKey(*config_, variable.config_key())) {
        const auto value = FromJson(*element, variable.type());
        if (value) {
          variables_.Set(variable.name(), *value);
        } else {
          Report("CK1304", variable,
                 fmt::format("{}: \"{}\" is {}, not {}", config_path_, variable.config_key(),
                             simdjson::minify(*element), Article(variable.type())),
                 fmt::format("correct the config, or give -D {}=…", variable.name()));
        }
        return;
      }
    }
    if (variable.has_value()) return Computed(variable);
    Missing(variable);
  }

  static std::string Article(Type::Type type) {
    if (type == Type::JSON) return "JSON whose keys stand there once";
    return type == Type::INT ? "an int" : fmt::format("a {}", TypeName(type));
  }

  void Missing(const plan::Variable& variable) {
    const std::string define = fmt::format("-D {}=…", variable.name());
    if (variable.config_key().empty()) {
      return Report("CK1301", variable, fmt::format("parameter `{}` has no value", variable.name()),
                    fmt::format("give {}", define));
    }
    Report("CK1301", variable,
           config_ ? fmt::format("parameter `{}` has no value: {} has no \"{}\"", variable.name(), config_path_,
                                 variable.config_key())
                   : fmt::format("parameter `{}` has no value: it is read from \"{}\" of a config.json",
                                 variable.name(), variable.config_key()),
           fmt::format("give --config config.json, or {}", define));
  }

  void Computed(const plan::Variable& variable) {
    auto value = Evaluate(variable.value(), variables_);
    if (!value) {
      // What has no value because of an error above was reported there.
      if (issues_.empty()) {
        Report("CK1305", variable, fmt::format("`{}` cannot be computed: {}", variable.name(), value.error().message()),
               "check the parameters that it is computed from");
      }
      return;
    }
    if (variable.type() == Type::FLOAT && std::holds_alternative<int64_t>(*value)) {
      const auto real = ExactDouble(std::get<int64_t>(*value));
      if (real) return variables_.Set(variable.name(), *real);
      Report("CK1305", variable,
             fmt::format("`{}` is a float, which would round {}", variable.name(), std::get<int64_t>(*value)),
             "declare it as an int");
    } else {
      variables_.Set(variable.name(), *std::move(value));
    }
  }

  const plan::Plan& plan_;
  const std::map<std::string, std::string>& defines_;
  std::optional<simdjson::dom::element> config_;
  const std::string& config_path_;
  std::vector<Issue>& issues_;
  std::map<std::string, std::string> given_;
  BoundVariables variables_;
};

}  // namespace

Value BoundVariables::Variable(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? Value() : found->second;
}

Result<BoundVariables> BindVariables(const plan::Plan& plan, const std::map<std::string, std::string>& defines,
                                     const std::string& config_json, const std::string& config_path,
                                     std::vector<Issue>& issues) {
  simdjson::dom::parser parser;
  std::optional<simdjson::dom::element> config;
  if (!config_json.empty()) {
    simdjson::dom::element root;
    if (const auto error = parser.parse(config_json).get(root)) {
      ThrowIfOutOfMemory(error);
      return Error(ErrorCode::kMalformed, fmt::format("{}: not JSON: {}", config_path, simdjson::error_message(error)));
    }
    if (!root.is_object()) {
      return Error(ErrorCode::kMalformed, config_path + ": not a JSON object");
    }
    if (const std::string key = FindRepeatedKey(root); !key.empty()) {
      return Error(
          ErrorCode::kMalformed,
          fmt::format("{}: the key \"{}\" is given twice: which of its values counts is not said", config_path, key));
    }
    config = root;
  }
  return VariableBinder(plan, defines, config, config_path, issues).Run();
}

}  // namespace ckmap
