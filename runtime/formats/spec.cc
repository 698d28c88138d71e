#include "runtime/formats/spec.h"

#include <algorithm>
#include <sstream>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <simdjson.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "runtime/formats/tensor_name.h"

namespace ckmap {
namespace {

constexpr size_t kMaxProblems = 20;
constexpr int kMaxDepth = 16;

// Collects what is wrong, and the tensors that are right.
class SpecBuilder {
 public:
    void Problem(const std::string& where, std::string_view message) {
    ++count_;
    if (problems_.size() < kMaxProblems) problems_.push_back(fmt::format("{}: {}", where, message));
  }

  void Add(const std::string& where, TensorInfo tensor) {
    if (const std::string problem = TensorNameProblem(tensor.name); !problem.empty()) {
      return Problem(where, fmt::format("{}: {}", QuoteName(tensor.name), problem));
    }
    Shape known;
    for (const int64_t size : tensor.shape) {
      if (size < -1) Problem(where, fmt::format("a size of {}; -1 is the one negative size: to be inferred", size));
      if (size >= 0) known.push_back(size);
    }
    if (tensor.shape.size() > kMaxTensorRank || !NumElements(known)) {
      return Problem(where, fmt::format("{}: the shape is too large", QuoteName(tensor.name)));
    }
    const std::string name = tensor.name;
    if (!manifest_.Add(std::move(tensor))) Problem(where, fmt::format("{} is there twice", QuoteName(name)));
  }

  void SetFramework(std::string framework) { manifest_.framework = std::move(framework); }

  Result<Manifest> Finish() {
    for (const TensorInfo& tensor : manifest_.tensors()) {
      if (!tensor.tied_to.empty() && !manifest_.Find(tensor.tied_to)) {
        Problem(QuoteName(tensor.name), fmt::format("tied to {}, which is not in the spec", QuoteName(tensor.tied_to)));
      }
    }
    if (count_ == 0) return std::move(manifest_);
    const std::string more = count_ > problems_.size() ? fmt::format("\n  and {} more", count_ - problems_.size()) : "";
    return Error(ErrorCode::kMalformed,
                 fmt::format("not a spec of tensors:\n  {}{}", fmt::join(problems_, "\n  "), more));
  }

 private:
  Manifest manifest_;
  std::vector<std::string> problems_;
  size_t count_ = 0;
};

// ---- YAML --------------------------------------------------------------------------------------

// Finds what is refused before any of it is built: anchors, aliases, deep nesting.
class RefusalScan final : public YAML::EventHandler {
 public:
  std::string problem;

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { Look(mark, anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { Refuse(mark, "an alias (`*name`)"); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, const std::string&) override {
    Look(mark, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Enter(mark, anchor);
  }
  void OnSequenceEnd() override { --depth_; }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Enter(mark, anchor);
  }
  void OnMapEnd() override { --depth_; }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override { Refuse(mark, "an anchor (`&name`)"); }

 private:
  void Look(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) Refuse(mark, "an anchor (`&name`)");
  }
  void Enter(const YAML::Mark& mark, YAML::anchor_t anchor) {
    Look(mark, anchor);
    if (++depth_ > kMaxDepth) Refuse(mark, "nesting that no spec has");
  }
  void Refuse(const YAML::Mark& mark, std::string_view what) {
    if (problem.empty()) problem = fmt::format("line {}: {} is refused; write it out", mark.line + 1, what);
  }
  int depth_ = 0;
};

class YamlSpec {
 public:
  explicit YamlSpec(SpecBuilder& builder) : builder_(builder) {}

  void Read(const YAML::Node& root) {
    if (!root.IsMap()) return builder_.Problem(Where(root), "a map with `tensors:` was expected");
    for (const auto& entry : root) {
      const std::string key = entry.first.as<std::string>();
      if (key == "framework" && entry.second.IsScalar()) {
        builder_.SetFramework(entry.second.as<std::string>());
      } else if (key != "tensors") {
        builder_.Problem(Where(entry.first), fmt::format("unknown key {}; known are `framework`, `tensors`", QuoteName(key)));
      }
    }
    const YAML::Node tensors = root["tensors"];
    if (!tensors || !tensors.IsSequence()) return builder_.Problem(Where(root), "`tensors:` must be a list");
    for (const YAML::Node& tensor : tensors) ReadTensor(tensor);
  }

 private:
  static std::string Where(const YAML::Node& node) { return fmt::format("line {}", node.Mark().line + 1); }

  void ReadTensor(const YAML::Node& node) {
    if (!node.IsMap()) return builder_.Problem(Where(node), "a tensor is a map: {name: …, dtype: …, shape: […]}");
    TensorInfo tensor;
    bool named = false, shaped = false, good = true;
    for (const auto& entry : node) {
      const std::string key = entry.first.as<std::string>();
      const YAML::Node& value = entry.second;
      const auto wrong = [&](std::string_view what) {
        good = false;
        builder_.Problem(Where(value), fmt::format("`{}` must be {}", key, what));
      };
      if (key == "name") {
        named = true;
        if (value.IsScalar()) tensor.name = value.as<std::string>();
        else wrong("a text");
      } else if (key == "dtype") {
        const auto dtype = value.IsScalar() ? ParseDType(value.as<std::string>()) : std::nullopt;
        if (dtype) tensor.dtype = *dtype;
        else wrong("a dtype, such as f32, bf16, i64, or any");
      } else if (key == "shape") {
        shaped = true;
        if (!ReadShape(value, tensor.shape)) wrong("a list of integers");
      } else if (key == "optional") {
        try {
          tensor.optional = value.as<bool>();
        } catch (const YAML::Exception&) {
          wrong("true or false");
        }
      } else if (key == "tied_to") {
        if (value.IsScalar()) tensor.tied_to = value.as<std::string>();
        else wrong("a name");
      } else {
        good = false;
        builder_.Problem(Where(entry.first), fmt::format("unknown key {} of a tensor", QuoteName(key)));
      }
    }
    if (!named) return builder_.Problem(Where(node), "a tensor without `name`");
    if (!shaped) return builder_.Problem(Where(node), fmt::format("{} has no `shape`", QuoteName(tensor.name)));
    if (good) builder_.Add(Where(node), std::move(tensor));
  }

  static bool ReadShape(const YAML::Node& node, Shape& shape) {
    if (!node.IsSequence()) return false;
    for (const YAML::Node& size : node) {
      try {
        shape.push_back(size.as<int64_t>());
      } catch (const YAML::Exception&) {
        return false;
      }
    }
    return true;
  }

  SpecBuilder& builder_;
};

Result<Manifest> ParseYaml(const std::string& text) {
  SpecBuilder builder;
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    RefusalScan scan;
    while (scan.problem.empty() && parser.HandleNextDocument(scan)) {
    }
    if (!scan.problem.empty()) return Error(ErrorCode::kMalformed, scan.problem);
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() != 1) {
      return Error(ErrorCode::kMalformed, fmt::format("{} YAML documents, one was expected", documents.size()));
    }
    YamlSpec(builder).Read(documents.front());
  } catch (const YAML::Exception& error) {
    return Error(ErrorCode::kMalformed,
                 fmt::format("no checkpoint and no YAML: line {}: {}", error.mark.line + 1, error.msg));
  } catch (const std::exception& error) {
    return Error(ErrorCode::kMalformed, std::string(error.what()));
  }
  return builder.Finish();
}

// ---- JSON --------------------------------------------------------------------------------------

class JsonSpec {
 public:
  explicit JsonSpec(SpecBuilder& builder) : builder_(builder) {}

  void Read(simdjson::dom::element root) {
    simdjson::dom::object object;
    simdjson::dom::array tensors;
    if (root.get(object) != simdjson::SUCCESS) return builder_.Problem("the text", "an object was expected");
    bool found = false;
    for (const auto [key, value] : object) {
      std::string_view text;
      if (key == "framework" && value.get(text) == simdjson::SUCCESS) {
        builder_.SetFramework(std::string(text));
      } else if (key == "tensors" && !found && value.get(tensors) == simdjson::SUCCESS) {
        found = true;
      } else {
        builder_.Problem("the spec", fmt::format("unexpected {}; known are `framework`, `tensors`, each once", QuoteName(key)));
      }
    }
    if (!found) return builder_.Problem("the spec", "`tensors` must be a list");
    size_t index = 0;
    for (const simdjson::dom::element tensor : tensors) ReadTensor(fmt::format("tensors[{}]", index++), tensor);
  }

 private:
  void ReadTensor(const std::string& where, simdjson::dom::element element) {
    simdjson::dom::object object;
    if (element.get(object) != simdjson::SUCCESS) return builder_.Problem(where, "a tensor is an object");
    TensorInfo tensor;
    bool named = false, shaped = false, good = true;
    for (const auto [key, value] : object) {
      std::string_view text;
      bool ok = true;
      if (key == "name") {
        ok = !named && value.get(text) == simdjson::SUCCESS;
        tensor.name = text;
        named = true;
      } else if (key == "dtype") {
        ok = value.get(text) == simdjson::SUCCESS && ParseDType(text);
        if (ok) tensor.dtype = *ParseDType(text);
      } else if (key == "shape") {
        ok = !shaped && ReadShape(value, tensor.shape);
        shaped = true;
      } else if (key == "optional") {
        ok = value.get(tensor.optional) == simdjson::SUCCESS;
      } else if (key == "tied_to") {
        ok = value.get(text) == simdjson::SUCCESS;
        tensor.tied_to = text;
      } else {
        ok = false;
      }
      if (!ok) builder_.Problem(where, fmt::format("{} is wrong, unknown or there twice", QuoteName(key)));
      good = good && ok;
    }
    if (!named || !shaped) return builder_.Problem(where, "a tensor needs `name` and `shape`");
    if (good) builder_.Add(where, std::move(tensor));
  }

  static bool ReadShape(simdjson::dom::element element, Shape& shape) {
    simdjson::dom::array sizes;
    if (element.get(sizes) != simdjson::SUCCESS) return false;
    for (const simdjson::dom::element item : sizes) {
      int64_t size = 0;
      if (item.get(size) != simdjson::SUCCESS) return false;
      shape.push_back(size);
    }
    return true;
  }

  SpecBuilder& builder_;
};

Result<Manifest> ParseJson(const std::string& text) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(text).get(root)) {
    return Error(ErrorCode::kMalformed, fmt::format("not JSON: {}", simdjson::error_message(error)));
  }
  SpecBuilder builder;
  JsonSpec(builder).Read(root);
  return builder.Finish();
}

}  // namespace

bool LooksLikeSpec(std::string_view head) {
  const bool text = std::none_of(head.begin(), head.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
  });
  const size_t first = head.find_first_not_of(" \t\r\n");
  if (!text || first == std::string_view::npos) return false;
  // A shard index is JSON too; a spec lists `tensors`.
  return head[first] != '{' || head.find("\"tensors\"") != std::string_view::npos;
}

Result<Manifest> ParseSpec(std::string_view text) {
  const std::string copy(text);
  const size_t first = copy.find_first_not_of(" \t\r\n");
  return first != std::string::npos && copy[first] == '{' ? ParseJson(copy) : ParseYaml(copy);
}

}  // namespace ckmap
