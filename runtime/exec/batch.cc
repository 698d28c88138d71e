// Batches: many small tensors at once. They are put together as one stretch of the output file, and
// what they need of the source files is read in file order, neighbours together.
#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/text.h"
#include "runtime/exec/read_checks.h"
#include "runtime/exec/worker.h"

namespace ckmap {
namespace {

constexpr int64_t kReadAlong = 4096;  // bytes between two requests that are read rather than skipped

}  // namespace

Result<void> Worker::RunBatch(const BatchTask& task) {
  std::vector<BatchItem> items(task.end - task.begin);
  FileExtent whole;
  bool holes = false;
  for (size_t i = 0; i < items.size(); ++i) {
    BatchItem& item = items[i];
    item.tensor = context_.schedule.order[task.begin + i];
    const BoundTensor& tensor = context_.plan.tensors[item.tensor];
    Result<LoweredTensor> lowered = LowerTensor(tensor, context_.source, tensor.rule);
    if (!lowered) {
      return std::move(lowered).error().Context(fmt::format("tensor `{}`", EscapeText(tensor.name)));
    }
    item.lowered = *std::move(lowered);
    const std::vector<FileExtent> extents = context_.writer.extents(item.tensor);
    CKMAP_CHECK(extents.size() == 1 && extents[0].length == item.lowered.bytes);
    if (i == 0) {
      whole = {extents[0].fd, extents[0].offset, 0};
    } else {
      holes = holes || extents[0].offset != whole.offset + whole.length;
    }
    item.at = extents[0].offset - whole.offset;
    whole.length = item.at + item.lowered.bytes;
  }
  CKMAP_CHECK(whole.length <= context_.budget.strip);
  if (whole.fd < 0) {
    CKMAP_RETURN_IF_ERROR(GatherBatch(items));
    return WriteBatch(items);
  }
  const std::span<std::byte> strip = Bytes(gatherer_.strip(), whole.length);
  Result<void> io;
  if (holes) io = ReadAt(whole.fd, whole.offset, strip);
  if (io) {
    CKMAP_RETURN_IF_ERROR(GatherBatch(items));
    io = WriteAt(whole.fd, whole.offset, strip);
  }
  if (!io) return std::move(io).error().Context(context_.writer.path(items[0].tensor));
  return context_.progress.Advance(whole.length);
}

// To a writer without files. Each tensor is completed before the next is begun: the writer may wait for whoever takes
// them.
Result<void> Worker::WriteBatch(const std::vector<BatchItem>& items) {
  for (const BatchItem& item : items) {
    CKMAP_RETURN_IF_ERROR(
        context_.writer.Write(item.tensor, 0, Bytes(gatherer_.strip() + item.at, item.lowered.bytes)));
    CKMAP_RETURN_IF_ERROR(context_.writer.Completed(item.tensor, item.lowered.bytes));
    CKMAP_RETURN_IF_ERROR(context_.progress.Advance(item.lowered.bytes));
  }
  return {};
}

// Where a file has the bytes of a box that is one segment, if it has them as they are.
bool Worker::FindInFile(const Box& box, const LoweredInput& input, Request& request) const {
  if (input.node != nullptr) return false;
  const Staging staging = PlanStaging(box, input.element, kReadAlong, context_.budget.staging);
  if (!staging.outer.empty() || staging.bytes > context_.budget.staging) return false;
  const auto found = FindExtent(context_.source.storage_extents(input.storage), staging.first, staging.segment);
  if (!found) return false;
  request.fd = found->fd;
  request.offset = found->offset;
  request.length = found->length;
  return true;
}

Result<void> Worker::GatherBatch(std::vector<BatchItem>& items) {
  std::vector<Request> requests;
  requests.reserve(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const BatchItem& item = items[i];
    for (size_t b = 0; b < item.lowered.boxes.size(); ++b) {
      const Box& box = item.lowered.boxes[b];
      Request request{-1, 0, 0, i, b};
      const bool found =
          box.input != kFillInput && FindInFile(box, item.lowered.inputs[static_cast<size_t>(box.input)], request);
      if (found) {
        requests.push_back(request);
      } else {
        evaluators_.set_target(context_.plan.tensors[item.tensor].name);
        CKMAP_RETURN_IF_ERROR(gatherer_.MoveBox(box, item.lowered, gatherer_.strip() + item.at, 0));
        CKMAP_RETURN_IF_ERROR(Account(item.tensor));
      }
    }
  }
  std::sort(requests.begin(), requests.end(), [](const Request& a, const Request& b) {
    return std::tie(a.fd, a.offset, a.item, a.box) < std::tie(b.fd, b.offset, b.item, b.box);
  });
  // The longest prefix that one read can serve, again and again.
  for (size_t begin = 0; begin < requests.size();) {
    const Request& first = requests[begin];
    int64_t end_offset = first.offset + first.length;
    size_t end = begin + 1;
    for (; end < requests.size(); ++end) {
      const Request& next = requests[end];
      const int64_t reach = std::max(end_offset, next.offset + next.length);
      if (next.fd != first.fd || next.offset - end_offset > kReadAlong ||
          reach - first.offset > context_.budget.staging) {
        break;
      }
      end_offset = reach;
    }
    CKMAP_RETURN_IF_ERROR(ServeRequests(std::span(requests).subspan(begin, end - begin), items));
    begin = end;
  }
  return {};
}

Result<void> Worker::ServeRequests(std::span<const Request> requests, std::vector<BatchItem>& items) {
  const Request& first = requests.front();
  int64_t length = 0;
  for (const Request& request : requests) {
    length = std::max(length, request.offset + request.length - first.offset);
  }
  const std::span<std::byte> bytes = Bytes(gatherer_.staging(), length);
  if (Result<void> read = ReadAt(first.fd, first.offset, bytes); !read) {
    const BatchItem& item = items[first.item];
    const auto input = static_cast<size_t>(item.lowered.boxes[first.box].input);
    evaluators_.set_target(context_.plan.tensors[item.tensor].name);
    return gatherer_.Where(item.lowered.inputs[input], std::move(read).error());
  }
  context_.checks.SawFile(first.fd, first.offset, bytes);
  for (const Request& request : requests) {
    const BatchItem& item = items[request.item];
    Box box = item.lowered.boxes[request.box];
    box.src = request.offset - first.offset;
    for (const CopyAxis& axis : box.axes) {
      if (axis.src < 0) box.src -= (axis.size - 1) * axis.src;
    }
    gatherer_.MoveElements(box, item.lowered, gatherer_.staging(), gatherer_.strip() + item.at, 0);
    CKMAP_RETURN_IF_ERROR(Account(item.tensor));
  }
  return {};
}

}  // namespace ckmap
