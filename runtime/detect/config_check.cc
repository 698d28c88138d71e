#include "runtime/detect/config_check.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/json_document.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

using Names = std::vector<std::string_view>;

// A number that the config gives, with the key that it stands under.
struct Told {
  std::string key;
  int64_t value = 0;
};

// The numbers of a config; those of its `text_config` where the outer object has no width of its own.
class Config {
 public:
  explicit Config(simdjson::dom::object root) : object_(root) {
    simdjson::dom::object text;
    if (!First({"hidden_size", "n_embd", "d_model", "dim"}) && root["text_config"].get(text) == simdjson::SUCCESS) {
      object_ = text;
      prefix_ = "text_config.";
    }
  }

  // Of the keys, the first that holds an integer.
  std::optional<Told> First(const Names& keys) const {
    for (const std::string_view key : keys) {
      int64_t value = 0;
      if (object_[key].get(value) == simdjson::SUCCESS) return Told{prefix_ + std::string(key), value};
    }
    return std::nullopt;
  }
  bool Has(std::string_view key) const {
    simdjson::dom::element value;
    bool off = false;
    return object_[key].get(value) == simdjson::SUCCESS && !value.is_null() &&
           !(value.get(off) == simdjson::SUCCESS && !off);
  }

 private:
  simdjson::dom::object object_;
  std::string prefix_;
};

bool IsNumber(std::string_view text) {
  return !text.empty() && text.size() < 10 && std::all_of(text.begin(), text.end(), IsDigit);
}

// Whether the elements are numbers, one each, not codes that are packed or scaled.
bool IsPlain(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF64 ||
         dtype == DType::kAny;
}

class Check {
 public:
  Check(const Manifest& source, const Config& config, const std::string& path)
      : source_(source), config_(config), path_(path) {}

  std::vector<std::string> Run() {
    CheckList({"layers", "layer", "h", "blocks", "block"}, {"num_hidden_layers", "n_layer", "n_layers"}, "layers",
              Extra());
    CheckList({"experts"}, {"num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"}, "experts", 0);
    CheckEmbedding();
    CheckAttention();
    CheckSize("mlp.gate_proj.weight", 0, config_.First({"intermediate_size"}));
    return std::move(found_);
  }

 private:
  // Layers for multi-token prediction follow the others.
  int64_t Extra() const {
    const auto more = config_.First({"num_nextn_predict_layers"});
    return more ? more->value : 0;
  }

  void Add(const Told& told, const std::string& tensors) {
    found_.push_back(fmt::format("{} says {} = {}, and {}", path_, told.key, told.value, tensors));
  }

  // The numbered list whose modules have one of the names. Two such lists, an encoder and a decoder, may have two keys.
  void CheckList(const Names& lists, const Names& keys, std::string_view noun, int64_t extra) {
    const auto told = config_.First(keys);
    if (!told) return;
    std::map<std::string, int64_t> counts;  // by the path of the list
    for (const TensorInfo& tensor : source_.tensors()) {
      const std::string_view name = tensor.name;
      size_t begin = 0;
      std::string_view before;
      while (begin <= name.size()) {
        const size_t end = std::min(name.find('.', begin), name.size());
        const std::string_view segment = name.substr(begin, end - begin);
        if (IsNumber(segment) && std::find(lists.begin(), lists.end(), before) != lists.end()) {
          int64_t& count = counts[std::string(name.substr(0, begin - 1))];
          count = std::max(count, int64_t{std::stoll(std::string(segment))} + 1);
          break;
        }
        before = segment;
        begin = end + 1;
      }
    }
    std::set<int64_t> sizes;
    for (const auto& [list, count] : counts) sizes.insert(count);
    const bool one_kind = noun == "experts" ? sizes.size() == 1 : counts.size() == 1;
    if (!one_kind || counts.empty()) return;
    const auto& [list, count] = *counts.begin();
    if (count == told->value || count == told->value + extra) return;
    Add(*told, fmt::format("the tensors have {} {} (`{}.0` to `{}.{}`)", count, noun, list, list, count - 1));
  }

  // The one tensor of two axes whose name ends so, on whole segments; null if there are none or several shapes.
  const TensorInfo* Only(std::string_view ending) const {
    const TensorInfo* only = nullptr;
    for (const TensorInfo& tensor : source_.tensors()) {
      const std::string_view name = tensor.name;
      const bool ends =
          name.ends_with(ending) && (name.size() == ending.size() || name[name.size() - ending.size() - 1] == '.');
      if (!ends || tensor.shape.size() != 2) continue;
      if (!IsPlain(tensor.dtype) || (only != nullptr && only->shape != tensor.shape)) return nullptr;
      if (only == nullptr) only = &tensor;
    }
    return only;
  }

  void Compare(const TensorInfo& tensor, size_t axis, const Told& told) {
    if (tensor.shape[axis] == told.value) return;
    Add(told, fmt::format("axis {} of {} has the size {}", axis, QuoteName(tensor.name), tensor.shape[axis]));
  }

  void CheckSize(std::string_view ending, size_t axis, const std::optional<Told>& told) {
    const TensorInfo* tensor = Only(ending);
    if (tensor != nullptr && told) Compare(*tensor, axis, *told);
  }

  void CheckEmbedding() {
    for (const std::string_view ending : {"embed_tokens.weight", "wte.weight", "word_embeddings.weight",
                                          "embed_in.weight", "shared.weight", "tok_embeddings.weight"}) {
      const TensorInfo* table = Only(ending);
      if (table == nullptr) continue;
      if (const auto rows = config_.First({"vocab_size"})) Compare(*table, 0, *rows);
      const auto width = config_.First({"embedding_size", "word_embed_proj_dim", "hidden_size", "n_embd", "d_model"});
      if (width) Compare(*table, 1, *width);
      return;
    }
  }

  // Rows of the query and of the key matrix. Latent attention and gated queries have others.
  void CheckAttention() {
    const auto heads = config_.First({"num_attention_heads"});
    const auto width = config_.First({"hidden_size"});
    if (!heads || !width || heads->value <= 0 || config_.Has("kv_lora_rank") || config_.Has("attn_output_gate")) return;
    const auto given = config_.First({"head_dim"});
    if (!given && width->value % heads->value != 0) return;
    const int64_t size = given ? given->value : width->value / heads->value;
    const auto compare = [&](std::string_view ending, const Told& count) {
      const TensorInfo* tensor = Only(ending);
      if (tensor == nullptr || tensor->shape[0] == count.value * size) return;
      Add(count, fmt::format("{} has {} rows, which are not {} heads of {}", QuoteName(tensor->name), tensor->shape[0],
                             count.value, size));
    };
    compare("self_attn.q_proj.weight", *heads);
    if (const auto kv = config_.First({"num_key_value_heads"})) compare("self_attn.k_proj.weight", *kv);
  }

  const Manifest& source_;
  const Config& config_;
  const std::string& path_;
  std::vector<std::string> found_;
};

}  // namespace

Result<std::vector<std::string>> ConfigContradictions(const Manifest& source, const std::string& config_json,
                                                      const std::string& path) {
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  const simdjson::error_code error = parser.parse(config_json).get(element);
  ThrowIfOutOfMemory(error);
  simdjson::dom::object root;
  if (error != simdjson::SUCCESS || element.get(root) != simdjson::SUCCESS)
    return Error(ErrorCode::kMalformed, fmt::format("{}: not a JSON object", path));
  return Check(source, Config(root), path).Run();
}

}  // namespace ckmap
