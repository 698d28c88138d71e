#include "runtime/formats/spec/spec.h"

#include <array>
#include <istream>
#include <streambuf>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "runtime/base/json_document.h"
#include "runtime/base/json_strict.h"
#include "runtime/base/mistake_list.h"
#include "runtime/base/text.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

constexpr size_t kMaxYaml = size_t{64} << 20;

// What YAML and JSON have in common: a flat stream of keys and values, checked as it comes.
class SpecBuilder {
 public:
  void Wrong(int line, std::string_view what) { mistakes_.Add(fmt::format("line {}: {}", line, what)); }

  void BeginTensor(int line) {
    tensor_ = {};
    line_ = line;
    seen_.fill(false);
    has_tensors_ = true;
  }

  // Notes that the tensor has this key; false (and a mistake) if it is unknown or given twice.
  bool Key(std::string_view key, int line) {
    constexpr std::array<std::string_view, 5> kKeys = {"name", "dtype", "shape", "optional", "tied_to"};
    for (size_t i = 0; i < kKeys.size(); ++i) {
      if (kKeys[i] != key) continue;
      if (!std::exchange(seen_[i], true)) return true;
      Wrong(line, fmt::format("`{}` is given twice", key));
      return false;
    }
    Wrong(line, fmt::format("unknown key {}; a tensor has name, dtype, shape, optional and tied_to", QuoteName(key)));
    return false;
  }

  void Text(std::string_view key, std::string_view value, int line) {
    if (key == "dtype") {
      const auto dtype = ParseDType(value);
      if (!dtype) return Wrong(line, fmt::format("unknown dtype {} (f32, bf16, i64, any, …)", QuoteName(value)));
      tensor_.dtype = *dtype;
      return;
    }
    if (const std::string problem = TensorNameProblem(value); !problem.empty()) {
      return Wrong(line, fmt::format("`{}`: {}", key, problem));
    }
    if (value.empty()) return Wrong(line, fmt::format("`{}` is empty", key));
    (key == "name" ? tensor_.name : tensor_.tied_to) = value;
  }

  void Flag(bool value) { tensor_.optional = value; }

  void Dim(std::string_view token, int line) {
    const auto size = ParsePlainSigned(token);
    if (!size || *size < -1 || *size > kMaxTensorDim) {
      return Wrong(line, fmt::format("a shape holds whole numbers from 0 to 2^48, or -1 for any size, not {}",
                                     QuoteName(token)));
    }
    if (tensor_.shape.size() >= kMaxTensorRank) {
      return Wrong(line, fmt::format("more than {} axes", kMaxTensorRank));
    }
    tensor_.shape.push_back(*size);
  }

  void EndTensor() {
    for (size_t i = 0; i < 3; ++i) {
      constexpr std::array<std::string_view, 3> kNeeded = {"name", "dtype", "shape"};
      if (!seen_[i]) Wrong(line_, fmt::format("a tensor without `{}`", kNeeded[i]));
    }
    if (tensor_.name.empty()) return;
    if (!lines_.emplace(tensor_.name, line_).second) {
      return Wrong(line_, fmt::format("tensor {} is given twice, first in line {}", QuoteName(tensor_.name),
                                      lines_[tensor_.name]));
    }
    Shape known = tensor_.shape;
    for (int64_t& size : known) size = size < 0 ? 1 : size;
    if (!NumBytes(known, tensor_.dtype == DType::kAny ? DType::kU8 : tensor_.dtype)) {
      Wrong(line_, fmt::format("tensor {}: {} {} is no number of whole bytes below 2^62", QuoteName(tensor_.name),
                               DTypeName(tensor_.dtype), FormatShape(tensor_.shape)));
    }
    manifest_.Add(std::move(tensor_));
  }

  void Framework(std::string_view text) { manifest_.framework = EscapeText(text); }
  void SawTensors() { has_tensors_ = true; }

  Result<Manifest> Finish() {
    for (const TensorInfo& info : manifest_.tensors()) {
      if (info.tied_to.empty()) continue;
      const auto other = manifest_.Find(info.tied_to);
      const int line = lines_[info.name];
      if (!other || info.tied_to == info.name) {
        Wrong(line, fmt::format("{} is tied to {}, which is no other tensor of the spec", QuoteName(info.name),
                                QuoteName(info.tied_to)));
      } else if (manifest_[*other].shape != info.shape || manifest_[*other].dtype != info.dtype) {
        Wrong(line, fmt::format("{} is tied to {}, whose dtype or shape is another", QuoteName(info.name),
                                QuoteName(info.tied_to)));
      }
    }
    if (!has_tensors_ && mistakes_.empty()) Wrong(1, "has no `tensors`");
    if (!mistakes_.empty()) return mistakes_.ToError(ErrorCode::kMalformed, "the spec");
    return std::move(manifest_);
  }

 private:
  Manifest manifest_;
  TensorInfo tensor_;
  int line_ = 0;
  std::array<bool, 5> seen_{};
  bool has_tensors_ = false;
  std::unordered_map<std::string, int> lines_;
  MistakeList mistakes_;
};

// Follows the events of yaml-cpp; never builds a tree. What does not belong is passed over whole.
class YamlHandler final : public YAML::EventHandler {
 public:
  explicit YamlHandler(SpecBuilder& builder) : builder_(builder) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { Scalar(mark, "", anchor, "", true); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark);
    Value(mark, "", false, false);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Scalar(mark, tag, anchor, value, false);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    if (anchor != 0) Refuse(mark);
    if (skip_ > 0) {
      ++skip_;
    } else if (state_ == State::kRootValue && key_ == "tensors") {
      state_ = State::kTensors;
      builder_.SawTensors();
    } else if (state_ == State::kTensorValue && key_ == "shape") {
      state_ = State::kShape;
    } else {
      Unexpected(mark, "a list");
    }
  }
  void OnSequenceEnd() override {
    if (skip_ > 0) {
      EndSkip();
    } else {
      state_ = state_ == State::kShape ? State::kTensorKey : State::kRootKey;
    }
  }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (anchor != 0) Refuse(mark);
    if (skip_ > 0) {
      ++skip_;
    } else if (state_ == State::kStart) {
      state_ = State::kRootKey;
    } else if (state_ == State::kTensors) {
      builder_.BeginTensor(mark.line + 1);
      state_ = State::kTensorKey;
    } else {
      Unexpected(mark, "a map");
    }
  }
  void OnMapEnd() override {
    if (skip_ > 0) return EndSkip();
    if (state_ == State::kTensorKey) {
      builder_.EndTensor();
      state_ = State::kTensors;
    } else {
      state_ = State::kDone;
    }
  }

 private:
  enum class State { kStart, kRootKey, kRootValue, kTensors, kTensorKey, kTensorValue, kShape, kDone };

  void Refuse(const YAML::Mark& mark) {
    builder_.Wrong(mark.line + 1, "anchors and aliases (&, *) are not taken in a spec; write the value out");
  }
  void Unexpected(const YAML::Mark& mark, std::string_view what) {
    builder_.Wrong(mark.line + 1, fmt::format("{} does not belong here", what));
    skip_ = 1;
  }
  void EndSkip() {
    if (--skip_ == 0) AfterValue();
  }
  void AfterValue() {
    if (state_ == State::kStart) state_ = State::kDone;
    // A list or a map in the place of a key stands for the key: its value follows.
    if (state_ == State::kRootKey || state_ == State::kTensorKey) {
      known_key_ = false;
      state_ = state_ == State::kRootKey ? State::kRootValue : State::kTensorValue;
    } else if (state_ == State::kRootValue) {
      state_ = State::kRootKey;
    } else if (state_ == State::kTensorValue) {
      state_ = State::kTensorKey;
    }
  }
  void Scalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value,
              bool null) {
    if (anchor != 0) Refuse(mark);
    Value(mark, value, tag == "!", null);
  }
  void Value(const YAML::Mark& mark, const std::string& value, bool quoted, bool null) {
    if (skip_ > 0) return;
    const int line = mark.line + 1;
    if (state_ == State::kRootKey) {
      key_ = value;
      known_key_ = key_ == "framework" || key_ == "tensors";
      if (!known_key_)
        builder_.Wrong(line, fmt::format("unknown key {}; a spec has framework and tensors", QuoteName(key_)));
      bool& seen = key_ == "tensors" ? seen_tensors_ : seen_framework_;
      if (known_key_ && std::exchange(seen, true)) builder_.Wrong(line, fmt::format("`{}` is given twice", key_));
      state_ = State::kRootValue;
    } else if (state_ == State::kTensorKey) {
      key_ = value;
      known_key_ = builder_.Key(key_, line);
      state_ = State::kTensorValue;
    } else if (state_ == State::kRootValue) {
      if (key_ == "tensors") builder_.Wrong(line, "`tensors` must be a list");
      if (key_ == "framework") builder_.Framework(value);
      AfterValue();
    } else if (state_ == State::kTensorValue) {
      if (known_key_) TensorValue(line, value, quoted, null);
      AfterValue();
    } else if (state_ == State::kShape) {
      builder_.Dim(quoted ? "\"" + value + "\"" : value, line);
    } else if (!(state_ == State::kStart && null)) {
      builder_.Wrong(line, fmt::format("{} does not belong here", QuoteName(value)));
      AfterValue();
    }
  }
  void TensorValue(int line, const std::string& value, bool quoted, bool null) {
    if (null) return builder_.Wrong(line, fmt::format("`{}` has no value", key_));
    if (key_ == "shape") return builder_.Wrong(line, "`shape` must be a list of numbers");
    if (key_ != "optional") return builder_.Text(key_, value, line);
    if (quoted || (value != "true" && value != "false")) return builder_.Wrong(line, "`optional` is true or false");
    builder_.Flag(value == "true");
  }

  SpecBuilder& builder_;
  State state_ = State::kStart;
  std::string key_;
  bool known_key_ = false;
  bool seen_tensors_ = false;
  bool seen_framework_ = false;
  size_t skip_ = 0;  // depth of what is passed over
};

// A stream over text that is not copied.
class TextBuffer final : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // NOLINT: only read
    setg(begin, begin, begin + text.size());
  }
};

Result<Manifest> ParseYaml(std::string_view text) {
  if (text.size() > kMaxYaml) {
    return Error(ErrorCode::kLimit, fmt::format("{} of YAML, at most {} are read; write the spec as JSON",
                                                FormatBytes(static_cast<int64_t>(text.size())),
                                                FormatBytes(static_cast<int64_t>(kMaxYaml))));
  }
  SpecBuilder builder;
  TextBuffer buffer(text);
  std::istream stream(&buffer);
  try {
    YAML::Parser parser(stream);
    YamlHandler handler(builder);
    parser.HandleNextDocument(handler);
    SpecBuilder unused;
    YamlHandler second(unused);
    if (parser.HandleNextDocument(second)) builder.Wrong(1, "more than one YAML document");
  } catch (const YAML::Exception& e) {
    builder.Wrong(e.mark.line + 1, fmt::format("not valid YAML: {}", e.msg));
  }
  return builder.Finish();
}

namespace ondemand = simdjson::ondemand;

class JsonSpecParser {
 public:
  explicit JsonSpecParser(std::string_view text) : text_(text), padded_(text), lines_(text) {
    padded_.resize(text.size() + simdjson::SIMDJSON_PADDING, ' ');
  }

  Result<Manifest> Parse() {
    if (const size_t at = FindLoneSurrogate(text_); at != std::string::npos) {
      builder_.Wrong(lines_.LineAt(at), "half of a surrogate pair");
      return builder_.Finish();
    }
    ondemand::document document;
    if (auto e = BeginJson(parser_, padded_, text_.size(), document)) return Invalid(e);
    ondemand::object root;
    if (auto e = document.get_object().get(root)) return Invalid(e);
    if (auto e = Root(root)) return Invalid(e);
    if (!document.current_location().error())
      builder_.Wrong(lines_.LineAt(text_.size()), "something follows the JSON object");
    return builder_.Finish();
  }

 private:
  Result<Manifest> Invalid(simdjson::error_code error) {
    builder_.Wrong(line_, fmt::format("not valid JSON here or below: {}", simdjson::error_message(error)));
    return builder_.Finish();
  }
  // The line where a value begins.
  int Line(ondemand::value& value) {
    line_ = lines_.LineAt(static_cast<size_t>(value.raw_json_token().data() - padded_.data()));
    return line_;
  }

  simdjson::error_code Root(ondemand::object& root) {
    bool seen_tensors = false;
    bool seen_framework = false;
    for (auto item : root) {
      ondemand::field field;
      if (auto e = std::move(item).get(field)) return e;
      std::string_view key;
      if (auto e = field.unescaped_key().get(key)) return e;
      const std::string name(key);
      ondemand::value value = field.value();
      const int line = Line(value);
      if (name != "tensors" && name != "framework") {
        builder_.Wrong(line, fmt::format("unknown key {}; a spec has framework and tensors", QuoteName(name)));
        continue;
      }
      bool& seen = name == "tensors" ? seen_tensors : seen_framework;
      if (std::exchange(seen, true)) builder_.Wrong(line, fmt::format("`{}` is given twice", name));
      if (name == "framework") {
        std::string_view text;
        if (auto e = value.get_string().get(text)) {
          if (e != simdjson::INCORRECT_TYPE) return e;
          builder_.Wrong(line, "`framework` is not text");
        } else {
          builder_.Framework(text);
        }
      } else if (auto e = Tensors(value, line)) {
        return e;
      }
    }
    return simdjson::SUCCESS;
  }

  simdjson::error_code Tensors(ondemand::value value, int line) {
    ondemand::array array;
    if (auto e = value.get_array().get(array)) {
      if (e != simdjson::INCORRECT_TYPE) return e;
      builder_.Wrong(line, "`tensors` must be a list");
      return simdjson::SUCCESS;
    }
    builder_.SawTensors();
    for (auto item : array) {
      ondemand::value entry;
      if (auto e = std::move(item).get(entry)) return e;
      if (auto e = Tensor(entry)) return e;
    }
    return simdjson::SUCCESS;
  }

  simdjson::error_code Tensor(ondemand::value entry) {
    const int line = Line(entry);
    ondemand::object object;
    if (auto e = entry.get_object().get(object)) {
      if (e != simdjson::INCORRECT_TYPE) return e;
      builder_.Wrong(line, "a tensor must be an object");
      return simdjson::SUCCESS;
    }
    builder_.BeginTensor(line);
    for (auto item : object) {
      ondemand::field field;
      if (auto e = std::move(item).get(field)) return e;
      std::string_view key;
      if (auto e = field.unescaped_key().get(key)) return e;
      const std::string name(key);
      ondemand::value value = field.value();
      if (!builder_.Key(name, Line(value))) continue;
      if (auto e = Field(name, value)) return e;
    }
    builder_.EndTensor();
    return simdjson::SUCCESS;
  }

  simdjson::error_code Field(const std::string& name, ondemand::value value) {
    const int line = Line(value);
    simdjson::error_code error{};
    if (name == "shape") {
      ondemand::array array;
      error = value.get_array().get(array);
      if (error == simdjson::SUCCESS) {
        for (auto item : array) {
          ondemand::value element;
          if (auto e = std::move(item).get(element)) return e;
          const int at = Line(element);
          builder_.Dim(TrimEnd(element.raw_json_token()), at);
        }
      }
    } else if (name == "optional") {
      bool flag = false;
      error = value.get_bool().get(flag);
      if (error == simdjson::SUCCESS) builder_.Flag(flag);
    } else {
      std::string_view text;
      error = value.get_string().get(text);
      if (error == simdjson::SUCCESS) builder_.Text(name, text, line);
    }
    if (error == simdjson::INCORRECT_TYPE) {
      builder_.Wrong(line, fmt::format("`{}` must be {}", name,
                                       name == "shape"      ? "a list of numbers"
                                       : name == "optional" ? "true or false"
                                                            : "text"));
      return simdjson::SUCCESS;
    }
    return error;
  }

  static std::string_view TrimEnd(std::string_view token) {
    const size_t last = token.find_last_not_of(" \t\r\n");
    return token.substr(0, last + 1);
  }

  std::string_view text_;
  std::string padded_;
  LineCounter lines_;
  int line_ = 1;
  SpecBuilder builder_;
  ondemand::parser parser_;
};

}  // namespace

bool LooksLikeSpec(std::string_view head) {
  if (head.find('\0') != std::string_view::npos) return false;
  for (size_t at = 0; at < head.size();) {
    const char c = head[at];
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      ++at;
    } else if (c == '#') {
      at = head.find('\n', at);
    } else if (head.substr(at).starts_with("---") || head.substr(at).starts_with("%YAML")) {
      at = head.find('\n', at);
    } else {
      const std::string_view rest = head.substr(at);
      return c == '{' || rest.starts_with("framework") || rest.starts_with("tensors");
    }
  }
  return false;
}

Result<Manifest> ParseSpec(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') return JsonSpecParser(text).Parse();
  return ParseYaml(text);
}

}  // namespace ckmap
