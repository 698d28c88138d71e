#include "runtime/formats/onnx/onnx.h"

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/malformed.h"
#include "runtime/base/text.h"
#include "runtime/formats/onnx/onnx_tensor.h"
#include "runtime/formats/storage/stored_checkpoint.h"
#include "runtime/formats/wire/wire_reader.h"
#include "runtime/formats/wire/wire_schema.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

// Fields of a ModelProto.
constexpr uint32_t kIrVersion = 1;
constexpr uint32_t kGraph = 7;
constexpr uint32_t kMetadata = 14;
constexpr uint32_t kTraining = 20;
constexpr uint32_t kFunctions = 25;
// Of a GraphProto.
constexpr uint32_t kNode = 1;
constexpr uint32_t kInitializer = 5;
constexpr uint32_t kInput = 11;
constexpr uint32_t kSparseInitializer = 15;
// Of a NodeProto.
constexpr uint32_t kNodeOutput = 2;
constexpr uint32_t kNodeType = 4;
constexpr uint32_t kNodeAttribute = 5;
// Of an AttributeProto.
constexpr uint32_t kAttributeName = 1;
constexpr uint32_t kAttributeTensor = 5;
constexpr uint32_t kAttributeGraph = 6;
constexpr uint32_t kAttributeGraphs = 11;

// onnx.proto of IR version 13, to find damage in what is not read.
constexpr WireMessageText kMessages[] = {
    {"ModelProto",
     "1v 2s 3s 4s 5v 6s 7:GraphProto 8:OperatorSetIdProto 14:StringStringEntryProto 20:TrainingInfoProto "
     "25:FunctionProto 26:DeviceConfigurationProto"},
    {"GraphProto",
     "1:NodeProto 2s 5:TensorProto 10s 11:ValueInfoProto 12:ValueInfoProto 13:ValueInfoProto "
     "14:TensorAnnotation 15:SparseTensorProto 16:StringStringEntryProto"},
    {"OperatorSetIdProto", "1s 2v"},
    {"StringStringEntryProto", "1s 2s"},
    {"TrainingInfoProto", "1:GraphProto 2:GraphProto 3:StringStringEntryProto 4:StringStringEntryProto"},
    {"FunctionProto",
     "1s 4s 5s 6s 7:NodeProto 8s 9:OperatorSetIdProto 10s 11:AttributeProto 12:ValueInfoProto 13s "
     "14:StringStringEntryProto"},
    {"DeviceConfigurationProto", "1s 2v 3s"},
    {"NodeProto", "1s 2s 3s 4s 5:AttributeProto 6s 7s 8s 9:StringStringEntryProto 10:NodeDeviceConfigurationProto"},
    {"TensorProto",
     "1v 2v 3:TensorProtoSegment 4f 5v 6b 7v 8s 9b 10d 11v 12s 13:StringStringEntryProto 14v "
     "16:StringStringEntryProto"},
    {"ValueInfoProto", "1s 2:TypeProto 3s 4:StringStringEntryProto"},
    {"TensorAnnotation", "1s 2:StringStringEntryProto"},
    {"SparseTensorProto", "1:TensorProto 2:TensorProto 3v"},
    {"AttributeProto",
     "1s 2f 3v 4b 5:TensorProto 6:GraphProto 7f 8v 9b 10:TensorProto 11:GraphProto 13s 14:TypeProto "
     "15:TypeProto 20v 21s 22:SparseTensorProto 23:SparseTensorProto"},
    {"NodeDeviceConfigurationProto", "1s 2:ShardingSpecProto 3v"},
    {"TensorProtoSegment", "1v 2v"},
    {"TypeProto",
     "1:TypeProtoTensor 4:TypeProtoSequence 5:TypeProtoMap 6s 7:TypeProtoOpaque 8:TypeProtoSparseTensor "
     "9:TypeProtoOptional"},
    {"ShardingSpecProto", "1s 2v 3:IntIntListEntryProto 4:ShardedDimProto"},
    {"TypeProtoTensor", "1v 2:TensorShapeProto"},
    {"TypeProtoSequence", "1:TypeProto"},
    {"TypeProtoMap", "1v 2:TypeProto"},
    {"TypeProtoOpaque", "1s 2s"},
    {"TypeProtoSparseTensor", "1v 2:TensorShapeProto"},
    {"TypeProtoOptional", "1:TypeProto"},
    {"IntIntListEntryProto", "1v 2v"},
    {"ShardedDimProto", "1v 2:SimpleShardedDimProto"},
    {"TensorShapeProto", "1:TensorShapeProtoDimension"},
    {"SimpleShardedDimProto", "1v 2s 3v"},
    {"TensorShapeProtoDimension", "1v 2s 3s"},
};

constexpr int kFieldsSniffed = 64;
constexpr int kMaxDepth = 100;  // of graphs in nodes of graphs

struct Subgraph {
  WireField message;
  std::string prefix;  // "" for the model's graph
  int depth = 0;
};

class ModelReader {
 public:
  ModelReader(const ByteSource& source, StoredCheckpoint& checkpoint)
      : source_(source), checkpoint_(checkpoint), reader_(source), tensors_(source, checkpoint) {}

  Result<void> Read() {
    std::optional<WireField> graph;
    for (int64_t at = 0; at < source_.size();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, source_.size()));
      if (field.number == kGraph) {
        if (field.type != WireType::kBytes) return Malformed("the graph has the wrong wire type");
        if (graph) return Malformed("a model with two graphs");
        graph = field;
      } else {
        CKMAP_RETURN_IF_ERROR(ReadModelField(field));
      }
    }
    if (!graph) return Malformed("a model without a graph");
    waiting_.push_back({*graph, "", 0});
    while (!waiting_.empty()) {
      const Subgraph next = std::move(waiting_.front());
      waiting_.pop_front();
      CKMAP_RETURN_IF_ERROR(ReadGraph(next));
    }
    if (initializers_ == 0) CKMAP_RETURN_IF_ERROR(ReadInputs(*graph));
    return WireSchema(kMessages).Check(source_, 0, source_.size());
  }

 private:
  Result<void> ReadModelField(const WireField& field) {
    constexpr std::string_view kNames[] = {"",       "ir_version",   "producer_name", "producer_version",
                                           "domain", "model_version"};
    if (field.number == kTraining) checkpoint_.AddWarning("the model's training information is left out");
    if (field.number == kFunctions) checkpoint_.AddWarning("constants within the model's functions are left out");
    if (field.number == kMetadata && field.type == WireType::kBytes) return ReadMetadata(field);
    if (field.number >= std::size(kNames)) return {};
    if (field.type == WireType::kVarint) {
      checkpoint_.AddMetadata(std::string(kNames[field.number]), std::to_string(static_cast<int64_t>(field.value)));
    } else if (field.type == WireType::kBytes && field.length > 0) {
      CKMAP_ASSIGN_OR_RETURN(std::string text, reader_.Text(field, kMaxOnnxText));
      checkpoint_.AddMetadata(std::string(kNames[field.number]), std::move(text));
    }
    return {};
  }

  Result<void> ReadMetadata(const WireField& message) {
    std::string key;
    std::string value;
    for (int64_t at = message.begin; at < message.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, message.end()));
      if (field.type != WireType::kBytes || field.number > 2) continue;
      // A long value (a tokenizer, a configuration) is not what is asked for here.
      if (field.length > kMaxOnnxText) return {};
      CKMAP_ASSIGN_OR_RETURN(std::string text, reader_.Text(field, kMaxOnnxText));
      (field.number == 1 ? key : value) = std::move(text);
    }
    if (TensorNameProblem(key).empty()) checkpoint_.AddMetadata(std::move(key), std::move(value));
    return {};
  }

  Result<void> ReadGraph(const Subgraph& graph) {
    for (int64_t at = graph.message.begin; at < graph.message.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, graph.message.end()));
      const bool known = field.number == kNode || field.number == kInitializer || field.number == kSparseInitializer;
      if (!known) continue;
      if (field.type != WireType::kBytes)
        return Malformed(fmt::format("field {} of a graph has the wrong wire type", field.number));
      if (field.number == kNode) {
        CKMAP_RETURN_IF_ERROR(ReadNode(field, graph));
      } else if (field.number == kInitializer) {
        ++initializers_;
        CKMAP_ASSIGN_OR_RETURN(const OnnxTensor tensor, tensors_.Read(field));
        if (tensor.name.empty()) return Malformed("an initializer without a name");
        CKMAP_RETURN_IF_ERROR(tensors_.Add(tensor, graph.prefix + tensor.name, false));
      } else {
        ++initializers_;
        CKMAP_RETURN_IF_ERROR(ReadSparse(field, graph));
      }
    }
    return {};
  }

  // A SparseTensorProto: values, indices, dims. Its name is that of the values.
  Result<void> ReadSparse(const WireField& message, const Subgraph& graph) {
    TensorInfo info;
    for (int64_t at = message.begin; at < message.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, message.end()));
      if (field.number == 1 && field.type == WireType::kBytes) {
        CKMAP_ASSIGN_OR_RETURN(const OnnxTensor values, tensors_.Read(field));
        info.name = graph.prefix + values.name;
        info.dtype = FindOnnxType(values.data_type).value_or(DType::kAny);
      } else if (field.number == 3 && field.type == WireType::kVarint) {
        CKMAP_RETURN_IF_ERROR(AddOnnxDim(info.shape, field.value));
      } else if (field.number == 3 && field.type == WireType::kBytes) {
        for (int64_t dim = field.begin; dim < field.end();) {
          CKMAP_ASSIGN_OR_RETURN(const uint64_t size, reader_.Varint(dim, field.end()));
          CKMAP_RETURN_IF_ERROR(AddOnnxDim(info.shape, size));
        }
      }
    }
    info.unreadable = "it is sparse; make it dense with the framework that wrote it";
    return AddListed(std::move(info));
  }

  Result<void> AddListed(TensorInfo info) {
    const std::string quoted = QuoteName(info.name);
    const std::string problem = info.name.empty() ? "it has no name" : TensorNameProblem(info.name);
    if (!problem.empty()) return Malformed(fmt::format("tensor {}: {}", quoted, problem));
    if (!NumBytes(info.shape, info.dtype == DType::kAny ? DType::kU8 : info.dtype)) {
      return Malformed(fmt::format("tensor {}: {} is too large", quoted, FormatShape(info.shape)));
    }
    if (!checkpoint_.AddUnreadable(std::move(info))) return Malformed(fmt::format("tensor {} is given twice", quoted));
    return {};
  }

  // What of a node must be known before its attributes.
  struct NodeHead {
    std::string output;
    bool constant = false;
  };

  Result<NodeHead> ReadNodeHead(const WireField& node) {
    NodeHead head;
    bool has_output = false;
    for (int64_t at = node.begin; at < node.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, node.end()));
      if (field.type != WireType::kBytes) continue;
      if (field.number == kNodeOutput && !std::exchange(has_output, true)) {
        CKMAP_ASSIGN_OR_RETURN(head.output, reader_.Text(field, kMaxOnnxText));
      } else if (field.number == kNodeType) {
        CKMAP_ASSIGN_OR_RETURN(const std::string type, reader_.Text(field, kMaxOnnxText));
        head.constant = type == "Constant";
      }
    }
    return head;
  }

  Result<void> ReadNode(const WireField& node, const Subgraph& graph) {
    CKMAP_ASSIGN_OR_RETURN(const NodeHead head, ReadNodeHead(node));
    for (int64_t at = node.begin; at < node.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, node.end()));
      if (field.number != kNodeAttribute || field.type != WireType::kBytes) continue;
      CKMAP_RETURN_IF_ERROR(ReadAttribute(field, head, graph));
    }
    return {};
  }

  Result<void> ReadAttribute(const WireField& attribute, const NodeHead& head, const Subgraph& graph) {
    std::string name;
    std::optional<WireField> tensor;
    std::vector<WireField> graphs;
    for (int64_t at = attribute.begin; at < attribute.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, attribute.end()));
      if (field.type != WireType::kBytes) continue;
      if (field.number == kAttributeName) {
        CKMAP_ASSIGN_OR_RETURN(name, reader_.Text(field, kMaxOnnxText));
      } else if (field.number == kAttributeTensor) {
        if (tensor) return Malformed("an attribute with two tensors");
        tensor = field;
      } else if (field.number == kAttributeGraph || field.number == kAttributeGraphs) {
        graphs.push_back(field);
      }
    }
    if (tensor && head.constant && name == "value") {
      CKMAP_ASSIGN_OR_RETURN(const OnnxTensor value, tensors_.Read(*tensor));
      if (head.output.empty()) return Malformed("a Constant without an output");
      CKMAP_RETURN_IF_ERROR(tensors_.Add(value, graph.prefix + head.output, true));
    }
    if (!graphs.empty() && graph.depth == kMaxDepth) return Malformed("graphs within graphs are nested too deep");
    for (size_t i = 0; i < graphs.size(); ++i) {
      const std::string index = graphs.size() > 1 ? fmt::format(".{}", i) : "";
      waiting_.push_back(
          {graphs[i], fmt::format("{}{}/{}{}/", graph.prefix, head.output, name, index), graph.depth + 1});
      if (waiting_.back().prefix.size() > kMaxTensorName)
        return Malformed("the name of a graph within graphs is too long");
    }
    return {};
  }

  // Where no initializer is there, parameters are inputs of fixed shapes.
  Result<void> ReadInputs(const WireField& graph) {
    for (int64_t at = graph.begin; at < graph.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, graph.end()));
      if (field.number != kInput || field.type != WireType::kBytes) continue;
      TensorInfo info;
      bool fixed = false;
      for (int64_t part_at = field.begin; part_at < field.end();) {
        CKMAP_ASSIGN_OR_RETURN(const WireField part, reader_.Next(part_at, field.end()));
        if (part.type != WireType::kBytes) continue;
        if (part.number == 1) {
          CKMAP_ASSIGN_OR_RETURN(info.name, reader_.Text(part, kMaxOnnxText));
        } else if (part.number == 2) {
          CKMAP_ASSIGN_OR_RETURN(fixed, ReadType(part, info));
        }
      }
      if (!fixed) {
        checkpoint_.AddWarning(fmt::format("the input {} has no fixed shape: it is left out", QuoteName(info.name)));
        continue;
      }
      info.unreadable = "the model holds its shape but not its bytes";
      CKMAP_RETURN_IF_ERROR(AddListed(std::move(info)));
    }
    return {};
  }

  // A TypeProto; false unless it is that of a tensor whose axes all have sizes.
  Result<bool> ReadType(const WireField& type, TensorInfo& info) {
    std::optional<WireField> shape;
    for (int64_t at = type.begin; at < type.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField kind, reader_.Next(at, type.end()));
      if (kind.number != 1 || kind.type != WireType::kBytes) continue;  // tensor_type
      for (int64_t part_at = kind.begin; part_at < kind.end();) {
        CKMAP_ASSIGN_OR_RETURN(const WireField part, reader_.Next(part_at, kind.end()));
        if (part.number == 1 && part.type == WireType::kVarint)
          info.dtype = FindOnnxType(part.value).value_or(DType::kAny);
        if (part.number == 2 && part.type == WireType::kBytes) shape = part;
      }
    }
    if (!shape) return false;
    for (int64_t at = shape->begin; at < shape->end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField dim, reader_.Next(at, shape->end()));
      if (dim.number != 1 || dim.type != WireType::kBytes) continue;
      bool given = false;
      for (int64_t part_at = dim.begin; part_at < dim.end();) {
        CKMAP_ASSIGN_OR_RETURN(const WireField part, reader_.Next(part_at, dim.end()));
        if (part.number != 1 || part.type != WireType::kVarint || std::exchange(given, true)) continue;
        CKMAP_RETURN_IF_ERROR(AddOnnxDim(info.shape, part.value));
      }
      if (!given) return false;
    }
    return true;
  }

  const ByteSource& source_;
  StoredCheckpoint& checkpoint_;
  WireReader reader_;
  OnnxTensorReader tensors_;
  std::deque<Subgraph> waiting_;
  int64_t initializers_ = 0;
};

}  // namespace

bool LooksLikeOnnx(const ByteSource& source) {
  WireReader reader(source);
  bool has_version = false;
  int64_t at = 0;
  for (int i = 0; i < kFieldsSniffed && at < source.size(); ++i) {
    int64_t next = at;
    const auto key = reader.Varint(next, source.size());
    if (!key) return false;
    // The graph, perhaps cut short.
    if (*key == (kGraph << 3 | static_cast<uint32_t>(WireType::kBytes))) return has_version;
    const auto field = reader.Next(at, source.size());
    if (!field) return false;
    const bool number = field->number == kIrVersion || field->number == 5;
    if (field->number <= 8 && field->type != (number ? WireType::kVarint : WireType::kBytes)) return false;
    has_version |= field->number == kIrVersion;
  }
  return false;
}

Result<std::unique_ptr<Checkpoint>> OpenOnnx(std::unique_ptr<ByteSource> source) {
  const std::string path = source->path();
  auto checkpoint = std::make_unique<StoredCheckpoint>("onnx");
  const ByteSource& bytes = checkpoint->AddBytes(std::move(source));
  if (auto read = ModelReader(bytes, *checkpoint).Read(); !read) {
    const bool named = read.error().message().starts_with(path);
    return named ? std::move(read).error() : std::move(read).error().Context(path);
  }
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

}  // namespace ckmap
