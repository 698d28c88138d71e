#include "compiler/program/pack.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "compiler/diag/did_you_mean.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxPackYaml = 1 << 20;

std::vector<int64_t> VersionParts(const std::string& text) {
  std::vector<int64_t> parts(1, 0);
  bool digit = false;
  for (const char c : text) {
    if (IsDigit(c) && parts.back() < 1'000'000'000) {
      parts.back() = parts.back() * 10 + (c - '0');
      digit = true;
    } else if (c == '.' && digit) {
      parts.push_back(0);
      digit = false;
    } else {
      return {};
    }
  }
  return digit ? parts : std::vector<int64_t>();
}

class Reader {
 public:
  Reader(const SourceMap& sources, FileId file, DiagnosticSink& sink)
      : source_(sources.file(file)), file_(file), sink_(sink) {}

  Pack Read() {
    const std::string_view text = source_.text();
    pack_.name_span = pack_.library_span = {file_, 0, 0};
    if (static_cast<int64_t>(text.size()) > kMaxPackYaml) {
      Problem(DiagnosticKind::kPackYaml, Span{file_, 0, 0}, "a pack.yaml of more than 1 MiB");
      return std::move(pack_);
    }
    try {
      const YAML::Node root = YAML::Load(std::string(text));
      ReadRoot(root);
    } catch (const YAML::Exception& error) {
      Problem(DiagnosticKind::kPackYaml, SpanOf(error.mark, 1), error.msg);
    }
    return std::move(pack_);
  }

 private:
  Span SpanOf(const YAML::Mark& mark, size_t length) const {
    if (mark.is_null() || mark.pos < 0) return {file_, 0, 0};
    const auto size = static_cast<uint32_t>(source_.text().size());
    const uint32_t begin = std::min(static_cast<uint32_t>(mark.pos), size);
    return {file_, begin, std::min(begin + static_cast<uint32_t>(length), size)};
  }
  Span SpanOf(const YAML::Node& node) const {
    return SpanOf(node.Mark(), node.IsScalar() ? std::max<size_t>(node.Scalar().size(), 1) : 1);
  }

  void Problem(DiagnosticKind kind, Span span, std::string message, std::string help = "") {
    sink_.Report(kind, span, std::move(message)).Help(std::move(help)).Emit();
    pack_.valid = false;
  }

  // The scalar's text, or "" with a report.
  std::string Scalar(const YAML::Node& node, std::string_view key) {
    if (node.IsScalar()) return node.Scalar();
    Problem(DiagnosticKind::kPackValue, SpanOf(node), fmt::format("`{}` is not a single value", key));
    return "";
  }

  std::vector<std::string> Words(const YAML::Node& node, std::string_view key) {
    std::vector<std::string> words;
    if (!node.IsSequence()) {
      Problem(DiagnosticKind::kPackValue, SpanOf(node), fmt::format("`{}` is not a list", key),
              fmt::format("write `{}: [a, b]`", key));
      return words;
    }
    for (const YAML::Node& item : node) words.push_back(Scalar(item, key));
    return words;
  }

  // Keys of a mapping, checked against those that exist.
  bool CheckKeys(const YAML::Node& node, std::span<const std::string> known, std::string_view where) {
    if (!node.IsMap()) {
      Problem(DiagnosticKind::kPackValue, SpanOf(node), fmt::format("{} is not a mapping", where));
      return false;
    }
    for (const auto& entry : node) {
      const std::string key = Scalar(entry.first, "key");
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      std::string help = DidYouMean(key, known);
      if (help.empty()) help = fmt::format("the keys are {}", ListOf(known, "and"));
      Problem(DiagnosticKind::kPackKey, SpanOf(entry.first), fmt::format("unknown key `{}`", key), help);
    }
    return true;
  }

  void ReadRoot(const YAML::Node& root) {
    static const std::vector<std::string> keys = {"name",    "version",    "edition", "summary", "family",
                                                  "license", "frameworks", "params",  "library", "migrations"};
    if (!CheckKeys(root, keys, "a pack.yaml")) return;
    for (const char* key : {"name", "version", "edition"}) {
      if (root[key]) continue;
      Problem(DiagnosticKind::kPackMissing, Span{file_, 0, 0}, fmt::format("`{}` is missing", key));
    }
    if (root["name"]) {
      pack_.name = Scalar(root["name"], "name");
      pack_.name_span = SpanOf(root["name"]);
    }
    if (root["version"]) ReadVersion(root["version"]);
    if (root["edition"]) ReadEdition(root["edition"]);
    if (root["summary"]) pack_.summary = Scalar(root["summary"], "summary");
    if (root["frameworks"]) pack_.frameworks = Words(root["frameworks"], "frameworks");
    if (root["library"]) {
      pack_.library = Scalar(root["library"], "library");
      pack_.library_span = SpanOf(root["library"]);
    }
    if (root["migrations"]) ReadMigrations(root["migrations"]);
    if (root["params"]) ReadParams(root["params"]);
    if (!root["library"] && !root["migrations"]) {
      Problem(DiagnosticKind::kPackMissing, Span{file_, 0, 0}, "neither `library` nor `migrations` is given");
    }
  }

  void ReadVersion(const YAML::Node& node) {
    pack_.version = Scalar(node, "version");
    if (pack_.version.empty() || IsVersion(pack_.version)) return;
    Problem(DiagnosticKind::kPackValue, SpanOf(node), fmt::format("`{}` is not a version", pack_.version),
            "a version is numbers and dots, as `1.0.0`");
  }

  void ReadEdition(const YAML::Node& node) {
    const std::string edition = Scalar(node, "edition");
    if (edition.empty() || edition == "1") return;
    Problem(DiagnosticKind::kPackValue, SpanOf(node), fmt::format("edition `{}` is unknown", edition),
            "this compiler knows edition 1");
  }

  void ReadMigrations(const YAML::Node& node) {
    static const std::vector<std::string> keys = {"file", "verified", "summary", "source", "target"};
    if (!node.IsSequence()) {
      Problem(DiagnosticKind::kPackValue, SpanOf(node), "`migrations` is not a list",
              "write `- file: NAME.ckmap` for each");
      return;
    }
    for (const YAML::Node& item : node) {
      if (!CheckKeys(item, keys, "a migration")) continue;
      if (!item["file"]) {
        Problem(DiagnosticKind::kPackMissing, SpanOf(item), "`file` of a migration is missing");
        continue;
      }
      PackMigration migration;
      migration.file = Scalar(item["file"], "file");
      migration.name = std::filesystem::path(migration.file).stem().string();
      migration.span = SpanOf(item["file"]);
      if (item["verified"]) ReadVerified(item["verified"], migration);
      if (item["source"]) ReadSource(item["source"], migration.source);
      if (item["target"]) ReadTarget(item["target"], migration.target);
      if (!migration.file.empty()) pack_.migrations.push_back(std::move(migration));
    }
  }

  void ReadVerified(const YAML::Node& node, PackMigration& migration) {
    if (!node.IsSequence()) {
      Problem(DiagnosticKind::kPackValue, SpanOf(node), "`verified` is not a list",
              "write `verified: [a, b]`, or cards as `ckmap verify … --card NETWORK` writes them");
      return;
    }
    for (const YAML::Node& item : node) {
      if (!item.IsMap()) {
        migration.verified.push_back(Scalar(item, "verified"));
        continue;
      }
      const auto problem = [this](const YAML::Node& at, std::string message, std::string help) {
        Problem(DiagnosticKind::kPackValue, SpanOf(at), std::move(message), std::move(help));
      };
      std::optional<VerificationCard> card = ReadVerificationCard(item, problem);
      if (!card) continue;
      migration.verified.push_back(card->network);
      migration.cards.push_back(*std::move(card));
    }
  }

  void ReadSource(const YAML::Node& node, NetworkSide& side) {
    static const std::vector<std::string> keys = {"library", "tensors"};
    if (!CheckKeys(node, keys, "the `source` of a migration")) return;
    if (node["library"]) side.library = Scalar(node["library"], "library");
    if (node["tensors"]) side.tensors = Words(node["tensors"], "tensors");
  }

  void ReadTarget(const YAML::Node& node, NetworkSide& side) {
    static const std::vector<std::string> keys = {"library", "describes", "layers"};
    if (!CheckKeys(node, keys, "the `target` of a migration")) return;
    if (node["library"]) side.library = Scalar(node["library"], "library");
    const auto one_of = [&](const char* key, const std::vector<std::string>& values) {
      if (!node[key]) return std::string();
      const std::string value = Scalar(node[key], key);
      if (value.empty() || std::find(values.begin(), values.end(), value) != values.end()) return value;
      Problem(DiagnosticKind::kPackValue, SpanOf(node[key]), fmt::format("`{}` is not a value of `{}`", value, key),
              fmt::format("write {}", ListOf(values, "or")));
      return std::string();
    };
    side.describes = one_of("describes", {"true", "false"}) == "true";
    side.layers = one_of("layers", {"nn", "named"});
  }

  void ReadParams(const YAML::Node& node) {
    static const std::vector<std::string> keys = {"type", "default", "doc", "config"};
    static const std::vector<std::string> types = {"int", "float", "bool", "string", "json"};
    if (!node.IsMap()) {
      Problem(DiagnosticKind::kPackValue, SpanOf(node), "`params` is not a mapping",
              "write `params: {heads: {type: int}}`");
      return;
    }
    for (const auto& entry : node) {
      PackParam param;
      param.name = Scalar(entry.first, "params");
      param.span = SpanOf(entry.first);
      if (!CheckKeys(entry.second, keys, "a parameter")) continue;
      if (!entry.second["type"]) {
        Problem(DiagnosticKind::kPackMissing, param.span,
                fmt::format("`type` of parameter `{}` is missing", param.name));
        continue;
      }
      param.type = Scalar(entry.second["type"], "type");
      if (std::find(types.begin(), types.end(), param.type) == types.end()) {
        Problem(DiagnosticKind::kPackValue, SpanOf(entry.second["type"]), fmt::format("`{}` is not a type", param.type),
                fmt::format("the types are {}", ListOf(types, "and")));
        continue;
      }
      if (entry.second["doc"]) param.doc = Scalar(entry.second["doc"], "doc");
      pack_.params.push_back(std::move(param));
    }
  }

  const SourceFile& source_;
  FileId file_;
  DiagnosticSink& sink_;
  Pack pack_;
};

}  // namespace

bool IsVersion(const std::string& text) { return !VersionParts(text).empty(); }

int CompareVersions(const std::string& a, const std::string& b) {
  std::vector<int64_t> left = VersionParts(a), right = VersionParts(b);
  if (left.empty() || right.empty()) return -2;
  left.resize(std::max(left.size(), right.size()));
  right.resize(left.size());
  if (left == right) return 0;
  return left < right ? -1 : 1;
}

Pack ReadPack(const SourceMap& sources, FileId file, DiagnosticSink& sink) {
  return Reader(sources, file, sink).Read();
}

}  // namespace ckmap
