#include "runtime/formats/foreign.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

constexpr size_t kTarBlock = 512;

// A path as a word of a command for sh.
std::string Word(std::string_view path) {
  const bool plain = !path.empty() && std::all_of(path.begin(), path.end(), [](char c) {
    return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           "._-/+=@%"sv.find(c) != std::string_view::npos;
  });
  if (plain) return std::string(path);
  std::string word = "'";
  for (const char c : path) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return EscapeText(word + "'");
}

std::string WithoutEnding(const std::string& path, std::string_view ending) {
  return path.ends_with(ending) ? path.substr(0, path.size() - ending.size()) : path + ".out";
}

// ---- archives

struct TarMember {
  std::string name;
  int64_t size = 0;
};

std::optional<int64_t> Octal(std::string_view field) {
  while (!field.empty() && field.front() == ' ') field.remove_prefix(1);
  while (!field.empty() && (field.back() == ' ' || field.back() == '\0')) field.remove_suffix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value, 8);
  if (field.empty() || error != std::errc() || end != field.data() + field.size() || value < 0) return std::nullopt;
  return value;
}

bool IsTarHeader(std::string_view block) {
  constexpr size_t kSum = 148, kSumSize = 8;
  if (block.size() < kTarBlock) return false;
  int64_t sum = 0;
  for (size_t i = 0; i < kTarBlock; ++i)
    sum += i >= kSum && i < kSum + kSumSize ? ' ' : static_cast<unsigned char>(block[i]);
  return Octal(block.substr(kSum, kSumSize)) == sum;
}

TarMember MemberOf(std::string_view block) {
  const auto field = [&](size_t begin, size_t size) {
    const std::string_view text = block.substr(begin, size);
    return std::string(text.substr(0, text.find('\0')));
  };
  const std::string prefix = block.substr(257, 5) == "ustar" ? field(345, 155) : "";
  return {prefix.empty() ? field(0, 100) : prefix + "/" + field(0, 100), Octal(block.substr(124, 12)).value_or(0)};
}

// Of the plain files of a tar, as far as it is well formed.
std::vector<TarMember> TarMembers(const ByteSource& source) {
  constexpr int kMaxMembers = 256;
  constexpr auto kBlock = static_cast<int64_t>(kTarBlock);
  std::vector<TarMember> members;
  int64_t at = 0;
  for (int i = 0; i < kMaxMembers && source.size() - at >= kBlock; ++i) {
    std::string block(kTarBlock, '\0');
    if (!source.ReadAt(at, std::as_writable_bytes(std::span(block))) || !IsTarHeader(block)) break;
    TarMember member = MemberOf(block);
    if (member.size > source.size() - at - kBlock) break;
    at += kBlock + (member.size + kBlock - 1) / kBlock * kBlock;
    if (block[156] == '0' || block[156] == '\0') members.push_back(std::move(member));
  }
  return members;
}

// The container of torch 0.1.1 is a tar of these.
bool IsTorchMember(const TarMember& member) {
  constexpr std::array<std::string_view, 4> kTorch = {"sys_info", "pickle", "storages", "tensors"};
  return std::find(kTorch.begin(), kTorch.end(), member.name) != kTorch.end();
}

std::string TarAdvice(const std::string& path, const std::vector<TarMember>& members) {
  constexpr std::array<std::string_view, 14> kEndings = {".ckpt", ".pt",   ".pth", ".bin",   ".safetensors",
                                                         ".npz",  ".npy",  ".pkl", ".h5",    ".pdparams",
                                                         ".onnx", ".gguf", ".tar", ".mindir"};
  const TarMember* best = nullptr;
  for (const TarMember& member : members) {
    const bool fits = std::any_of(kEndings.begin(), kEndings.end(),
                                  [&](std::string_view ending) { return member.name.ends_with(ending); });
    if (fits && (best == nullptr || member.size > best->size)) best = &member;
  }
  const std::string kind = path.ends_with(".nemo") ? "is a NeMo archive (tar)" : "is a tar archive";
  if (best == nullptr) return fmt::format("{}, not a checkpoint; unpack it: tar -xf {}", kind, Word(path));
  return fmt::format("{}, not a checkpoint; unpack the checkpoint in it: tar -xf {} {}", kind, Word(path),
                     Word(best->name));
}

// The first plain bytes of a gzip file.
std::string Gunzip(std::string_view head) {
  constexpr int kGzip = 16 + MAX_WBITS;
  std::string plain(kTarBlock, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, kGzip) != Z_OK) return "";
  std::string input(head);
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(plain.data());
  stream.avail_out = static_cast<uInt>(plain.size());
  const int status = inflate(&stream, Z_SYNC_FLUSH);
  plain.resize(plain.size() - stream.avail_out);
  inflateEnd(&stream);
  return status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR ? plain : "";
}

std::optional<std::string> DescribeArchive(const ByteSource& source, std::string_view head) {
  const std::string& path = source.path();
  if (IsTarHeader(head)) {
    const std::vector<TarMember> members = TarMembers(source);
    if (std::any_of(members.begin(), members.end(), IsTorchMember) || members.empty()) return std::nullopt;
    return TarAdvice(path, members);
  }
  if (head.starts_with("\x1f\x8b\x08"sv)) {
    std::string longer(static_cast<size_t>(std::min<int64_t>(source.size(), int64_t{64} << 10)), '\0');
    if (!source.ReadAt(0, std::as_writable_bytes(std::span(longer)))) longer = head;
    if (IsTarHeader(Gunzip(longer)))
      return fmt::format("is a tar archive, compressed by gzip; unpack it: tar -xzf {}", Word(path));
    if (path.ends_with(".gz")) return fmt::format("is compressed by gzip; unpack it: gunzip -k {}", Word(path));
    return fmt::format("is compressed by gzip; unpack it: gunzip -c {} > {}", Word(path),
                       Word(WithoutEnding(path, ".gz")));
  }
  struct Packer {
    std::string_view magic, name, command, ending;
  };
  constexpr std::array<Packer, 6> kPackers = {{
      {"BZh"sv, "bzip2", "bunzip2 -k", ".bz2"},
      {"\xfd\x37zXZ\0"sv, "xz", "xz -dk", ".xz"},
      {"\x28\xb5\x2f\xfd"sv, "zstd", "zstd -d", ".zst"},
      {"\x04\x22\x4d\x18"sv, "lz4", "lz4 -d", ".lz4"},
      {"7z\xbc\xaf\x27\x1c"sv, "7-Zip", "7z x", ".7z"},
      {"Rar!\x1a\x07"sv, "RAR", "unrar x", ".rar"},
  }};
  for (const Packer& packer : kPackers) {
    if (head.starts_with(packer.magic))
      return fmt::format("is compressed by {}; unpack it: {} {}", packer.name, packer.command, Word(path));
  }
  return std::nullopt;
}

// ---- other frameworks

std::string TensorFlowAdvice(const std::string& prefix) {
  return fmt::format(
      "write its variables as an .npz and read that: python -c \"import numpy, tensorflow as tf; r = "
      "tf.train.load_checkpoint('{}'); numpy.savez('out.npz', **{{n: r.get_tensor(n) for n in "
      "r.get_variable_to_shape_map()}})\"",
      EscapeText(prefix));
}

std::string SavedModelAdvice(const std::string& folder) {
  return "is a SavedModel of TensorFlow; " + TensorFlowAdvice((fs::path(folder) / "variables" / "variables").string());
}

// The last bytes of the tables that TensorFlow writes.
bool EndsAsTable(const ByteSource& source) {
  constexpr std::string_view kMagic = "\x57\xfb\x80\x8b\x24\x75\x47\xdb"sv;
  if (source.size() < static_cast<int64_t>(kMagic.size())) return false;
  std::string tail(kMagic.size(), '\0');
  return source.ReadAt(source.size() - static_cast<int64_t>(kMagic.size()), std::as_writable_bytes(std::span(tail)))
             .ok() &&
         tail == kMagic;
}

// A map whose first key is a short text, as msgpack writes it.
bool LooksLikeMsgpack(std::string_view head) {
  if (head.size() < 4) return false;
  const auto first = static_cast<unsigned char>(head[0]);
  size_t at = 1;
  if (first == 0xde) at = 3;
  if (first == 0xdf) at = 5;
  if (at == 1 && (first < 0x81 || first > 0x8f)) return false;
  if (head.size() <= at) return false;
  const auto key = static_cast<unsigned char>(head[at]);
  if (key < 0xa1 || key > 0xbf || head.size() < at + 1 + (key & 0x1f)) return false;
  const std::string_view text = head.substr(at + 1, key & 0x1f);
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f; });
}

std::optional<std::string> DescribeTensorFlow(const ByteSource& source, std::string_view head) {
  const std::string& path = source.path();
  const std::string name = fs::path(path).filename().string();
  if (EndsAsTable(source))
    return "is the index of a TensorFlow checkpoint; " + TensorFlowAdvice(WithoutEnding(path, ".index"));
  if (const size_t data = path.rfind(".data-");
      data != std::string::npos && path.find("-of-", data) != std::string::npos)
    return "is a part of a TensorFlow checkpoint; " + TensorFlowAdvice(path.substr(0, data));
  if (head.starts_with("model_checkpoint_path:"))
    return "names the checkpoints of TensorFlow in its folder; " +
           TensorFlowAdvice(fs::path(path).parent_path().string());
  if (name == "saved_model.pb") return SavedModelAdvice(fs::path(path).parent_path().string());
  if (head.size() >= 8 && head.substr(4, 4) == "TFL3")
    return "is a TensorFlow Lite model; start from the checkpoint that it was converted from";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> DescribeForeignFile(const ByteSource& source, std::string_view head) {
  if (auto archive = DescribeArchive(source, head)) return archive;
  if (auto tensorflow = DescribeTensorFlow(source, head)) return tensorflow;
  const std::string& path = source.path();
  if (path.ends_with(".msgpack") || LooksLikeMsgpack(head)) {
    return fmt::format(
        "is a msgpack file, as Flax writes it; write its arrays as an .npz and read that: python -c \"import numpy; "
        "from flax "
        "import serialization as s, traverse_util as u; numpy.savez('out.npz', "
        "**u.flatten_dict(s.msgpack_restore(open('{}', "
        "'rb').read()), sep='.'))\"",
        EscapeText(path));
  }
  // Three numbers of a version, then how many images were seen.
  const bool darknet = head.starts_with("\0\0\0\0\x01\0\0\0"sv) || head.starts_with("\0\0\0\0\x02\0\0\0"sv);
  if (path.ends_with(".weights") && darknet) {
    return "is a darknet file: numbers without names, whose order is that of the layers in the .cfg; load both into "
           "the network in "
           "PyTorch, and torch.save its state_dict";
  }
  if (head.starts_with("\x12\x01\0\0\0\0\0\0"sv)) {
    return fmt::format(
        "is an MXNet file; write its arrays as an .npz and read that: python -c \"import mxnet, numpy; "
        "numpy.savez('out.npz', **{{n: "
        "a.asnumpy() for n, a in mxnet.nd.load('{}').items()}})\"",
        EscapeText(path));
  }
  if (path.ends_with(".caffemodel")) return "is a Caffe model; export it to ONNX and read that";
  return std::nullopt;
}

std::optional<std::string> DescribeForeignFolder(const std::string& path) {
  std::error_code ignored;
  const auto has = [&](const char* name) { return fs::exists(fs::path(path) / name, ignored); };
  if (has("saved_model.pb")) return SavedModelAdvice(path);
  if (has("_CHECKPOINT_METADATA") || has("manifest.ocdbt") || (has("_METADATA") && has("_sharding"))) {
    return fmt::format(
        "is a checkpoint of orbax; write its arrays as an .npz and read that: python -c \"import numpy, "
        "orbax.checkpoint as o; from flax "
        "import traverse_util as u; numpy.savez('out.npz', **u.flatten_dict(o.PyTreeCheckpointer().restore('{}'), "
        "sep='.'))\"",
        EscapeText(fs::absolute(path, ignored).string()));
  }
  if (!has("checkpoint")) return std::nullopt;
  std::string index;
  for (const auto& entry : fs::directory_iterator(path, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".index") && (index.empty() || name < index)) index = name;
  }
  if (index.empty()) return std::nullopt;
  return "is a folder of TensorFlow checkpoints; " +
         TensorFlowAdvice((fs::path(path) / WithoutEnding(index, ".index")).string());
}

}  // namespace ckmap
