#include "runtime/formats/mindspore/mindir.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/malformed.h"
#include "runtime/formats/storage/source_checkpoint.h"
#include "runtime/formats/wire/wire_reader.h"
#include "runtime/formats/wire/wire_schema.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

// mind_ir.proto of MindSpore 2.10, to find damage in what is not read.
constexpr WireMessageText kMindIrMessages[] = {
    {"ModelProto",
     "1s 2s 3s 4s 5s 6s 7:GraphProto 8:GraphProto 9:PreprocessorProto 10v 11:ParallelProto "
     "12:PrimitiveProto 13v 14:ModelProtoUserInfoEntry"},
    {"GraphProto",
     "1:NodeProto 2s 3:TensorProto 4s 5:ValueInfoProto 6:ValueInfoProto 7s 8:AttributeProto 9s 10:MapTensorProto"},
    {"PreprocessorProto", "1:PreprocessOpProto"},
    {"ParallelProto", "1:LayoutProto"},
    {"PrimitiveProto", "1s 2s 3:AttributeProto 4s 5v"},
    {"ModelProtoUserInfoEntry", "1s 2s"},
    {"NodeProto", "1s 2s 3s 4s 5:AttributeProto 6s 7s 8:AttributeProto 9:AttributeProto"},
    {"TensorProto",
     "1v 2v 3f 4v 5b 6v 7s 8s 9b 10d 11v 12:TensorProtoExternalDataProto 13s 14v 15v 16v "
     "17:TensorProtoQuantParamProto"},
    {"ValueInfoProto", "1s 2:TensorProto 3s 4s 5:AttributeProto"},
    {"AttributeProto",
     "1s 2f 3v 4d 5b 6:TensorProto 7:GraphProto 8f 9d 10v 11b 12:TensorProto 13:GraphProto 14s 15s 16v "
     "17:AttributeProto 18:AttributeProtoSeqInfoProto 19:FunctorProto 20:ScalarGraphHolderProto"},
    {"MapTensorProto", "1s 2:AttributeProto 3:TensorProto 4:TensorProto 5:TensorProto"},
    {"PreprocessOpProto", "1s 2s 3s 4s 5s 6v"},
    {"LayoutProto", "1s 2v 3v 4v 5v 6v 7s 8v 9v 10v 11v 12v"},
    {"TensorProtoExternalDataProto", "1s 2v 3v"},
    {"TensorProtoQuantParamProto", "1s 2:AttributeProto"},
    {"AttributeProtoSeqInfoProto", "1v 2:AttributeProto"},
    {"FunctorProto", "1v 2s 3:AttributeProto"},
    {"ScalarGraphHolderProto", "1:ScalarNodeProto 2v"},
    {"ScalarNodeProto", "1v 2v 3v"},
};

constexpr uint32_t kModelVersion = 1;
constexpr uint32_t kModelProducer = 2;
constexpr uint32_t kModelProducerVersion = 3;
constexpr uint32_t kModelGraph = 7;
constexpr uint32_t kGraphParameter = 3;
constexpr uint32_t kGraphMapParameter = 10;
constexpr int64_t kMaxMindIrText = int64_t{1} << 16;
constexpr int kMindIrFieldsSniffed = 32;

// mind_ir.TensorProto.DataType; nullopt where there is no such element type here.
std::optional<DType> FindType(uint64_t data_type) {
  switch (data_type) {
    case 1:
      return DType::kF32;
    case 2:
      return DType::kU8;
    case 3:
      return DType::kI8;
    case 4:
      return DType::kU16;
    case 5:
      return DType::kI16;
    case 6:
      return DType::kI32;
    case 7:
      return DType::kI64;
    case 9:
      return DType::kBool;
    case 10:
      return DType::kF16;
    case 11:
    case 17:
      return DType::kF64;
    case 12:
      return DType::kU32;
    case 13:
      return DType::kU64;
    case 14:
      return DType::kC64;
    case 15:
      return DType::kC128;
    case 16:
      return DType::kBF16;
    case 18:
      return DType::kI4;
    default:
      return std::nullopt;
  }
}

struct Parameter {
  std::string name;  // with the graph's name in front
  std::string key;   // ref_key
  Shape shape;
  uint64_t data_type = 0;
  uint64_t compression = 0;
  std::optional<SourcePart> raw;
  bool external = false;
  bool typed_data = false;  // elements in float_data and its like

  std::string ShortName() const {
    return key.empty() ? name.substr(name.find(':') + 1) : key;  // all of it where there is no ':'
  }
};

class ModelReader {
 public:
  ModelReader(const ByteSource& source, SourceCheckpoint& checkpoint)
      : source_(source), checkpoint_(checkpoint), reader_(source) {}

  Result<void> Read() {
    bool has_graph = false;
    for (int64_t at = 0; at < source_.size();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, source_.size()));
      if (field.type != WireType::kBytes) continue;
      if (field.number == kModelGraph) {
        if (std::exchange(has_graph, true)) return Malformed("a model with two graphs");
        CKMAP_RETURN_IF_ERROR(ReadGraph(field));
      } else if (field.number == kModelProducer || field.number == kModelProducerVersion) {
        CKMAP_ASSIGN_OR_RETURN(std::string text, reader_.Text(field, kMaxMindIrText));
        checkpoint_.AddMetadata(field.number == kModelProducer ? "producer_name" : "producer_version", std::move(text));
      }
    }
    if (!has_graph) return Malformed("a model without a graph");
    return WireSchema(kMindIrMessages).Check(source_, 0, source_.size());
  }

 private:
  Result<void> ReadGraph(const WireField& graph) {
    for (int64_t at = graph.begin; at < graph.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, graph.end()));
      if (field.number == kGraphMapParameter) {
        checkpoint_.AddWarning("a map parameter of the model is left out");
      }
      if (field.number != kGraphParameter) continue;
      if (field.type != WireType::kBytes) return Malformed("a parameter of the wrong wire type");
      CKMAP_ASSIGN_OR_RETURN(Parameter parameter, ReadParameter(field));
      CKMAP_RETURN_IF_ERROR(AddParameter(parameter));
    }
    return {};
  }

  Result<Parameter> ReadParameter(const WireField& message) {
    Parameter parameter;
    for (int64_t at = message.begin; at < message.end();) {
      CKMAP_ASSIGN_OR_RETURN(const WireField field, reader_.Next(at, message.end()));
      const bool bytes = field.type == WireType::kBytes;
      if (field.number == 1) {
        CKMAP_RETURN_IF_ERROR(ReadDims(field, parameter));
      } else if (field.number == 2) {
        parameter.data_type = field.value;
      } else if (field.number >= 3 && field.number <= 11 && field.number != 7 && field.number != 8 &&
                 field.number != 9) {
        parameter.typed_data = true;
      } else if (field.number == 7 && bytes) {
        CKMAP_ASSIGN_OR_RETURN(parameter.name, reader_.Text(field, kMaxMindIrText));
      } else if (field.number == 9 && bytes) {
        parameter.raw = SourcePart{field.begin, field.length};
      } else if (field.number == 12) {
        parameter.external = true;
      } else if (field.number == 13 && bytes) {
        CKMAP_ASSIGN_OR_RETURN(parameter.key, reader_.Text(field, kMaxMindIrText));
      } else if (field.number == 16) {
        parameter.compression = field.value;
      }
    }
    return parameter;
  }

  Result<void> ReadDims(const WireField& field, Parameter& parameter) {
    const auto add = [&parameter](uint64_t size) -> Result<void> {
      if (size > uint64_t{kMaxTensorDim} || parameter.shape.size() == kMaxTensorRank) {
        return Malformed(fmt::format("a parameter with a dim of {}, or of more than {} dims",
                                     static_cast<int64_t>(size), kMaxTensorRank));
      }
      parameter.shape.push_back(static_cast<int64_t>(size));
      return {};
    };
    if (field.type == WireType::kVarint) return add(field.value);
    if (field.type != WireType::kBytes) return Malformed("dims of the wrong wire type");
    for (int64_t at = field.begin; at < field.end();) {
      CKMAP_ASSIGN_OR_RETURN(const uint64_t size, reader_.Varint(at, field.end()));
      CKMAP_RETURN_IF_ERROR(add(size));
    }
    return {};
  }

  Result<void> AddParameter(const Parameter& parameter) {
    TensorInfo info;
    info.name = parameter.ShortName();
    if (info.name.empty()) return Malformed("a parameter without a name");
    const auto bad = [&info](std::string_view what) {
      return Malformed(fmt::format("parameter {}: {}", QuoteName(info.name), what));
    };
    if (const std::string problem = TensorNameProblem(info.name); !problem.empty()) return bad(problem);
    info.shape = parameter.shape;
    const auto dtype = FindType(parameter.data_type);
    if (!dtype) return bad(fmt::format("unknown data type {}", parameter.data_type));
    info.dtype = *dtype;
    const auto bytes = NumBytes(info.shape, info.dtype);
    if (!bytes) return bad(fmt::format("{} is too large", FormatShape(info.shape)));
    info.unreadable = WhyUnreadable(parameter, *bytes);
    const std::string name = info.name;
    bool added = false;
    if (!info.unreadable.empty()) {
      added = checkpoint_.AddUnreadable(std::move(info));
    } else {
      const SourcePart raw = parameter.raw.value_or(SourcePart{});
      if (raw.length != *bytes) {
        return bad(fmt::format("{} {} takes {} bytes, but {} are given", DTypeName(info.dtype), FormatShape(info.shape),
                               *bytes, raw.length));
      }
      added = checkpoint_.AddTensor(std::move(info), {raw});
    }
    if (!added) return Malformed(fmt::format("parameter {} is given twice", QuoteName(name)));
    return {};
  }

  static std::string WhyUnreadable(const Parameter& parameter, int64_t bytes) {
    if (parameter.external) return "its bytes are in another file of the model, and only shapes are read then";
    if (parameter.compression != 0) return "its bytes are compressed by MindSpore";
    if (!parameter.raw && parameter.typed_data) return "its elements are not stored as raw bytes";
    if (!parameter.raw && bytes != 0) return "the model holds its shape but not its bytes";
    return "";
  }

  const ByteSource& source_;
  SourceCheckpoint& checkpoint_;
  WireReader reader_;
};

}  // namespace

bool LooksLikeMindIr(const ByteSource& source) {
  WireReader reader(source);
  int64_t at = 0;
  for (int i = 0; i < kMindIrFieldsSniffed && at < source.size(); ++i) {
    const auto field = reader.Next(at, source.size());
    if (!field) return false;
    if (i == 0) {
      if (field->number != kModelVersion || field->type != WireType::kBytes) return false;
      const auto version = reader.Text(*field, 64);
      if (!version || version->find_first_not_of("0123456789.") != std::string::npos) return false;
    }
    if (field->number == kModelGraph) return field->type == WireType::kBytes;
  }
  return false;
}

Result<std::unique_ptr<Checkpoint>> OpenMindIr(std::unique_ptr<ByteSource> source) {
  const std::string path = source->path();
  const ByteSource& bytes = *source;
  auto checkpoint = std::make_unique<SourceCheckpoint>("mindir", std::move(source));
  if (auto read = ModelReader(bytes, *checkpoint).Read(); !read) {
    const bool named = read.error().message().starts_with(path);
    return named ? std::move(read).error() : std::move(read).error().Context(path);
  }
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

}  // namespace ckmap
