// Object headers, and what their messages say: shapes, links. Internal to hdf5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/formats/hdf5/hdf5_file.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

enum Hdf5MessageType : uint16_t {
  kHdf5Dataspace = 0x01,
  kHdf5LinkInfo = 0x02,
  kHdf5Datatype = 0x03,
  kHdf5OldFill = 0x04,
  kHdf5Fill = 0x05,
  kHdf5Link = 0x06,
  kHdf5ExternalFiles = 0x07,
  kHdf5Layout = 0x08,
  kHdf5Filters = 0x0b,
  kHdf5Attribute = 0x0c,
  kHdf5Continuation = 0x10,
  kHdf5SymbolTable = 0x11,
  kHdf5TreeRanks = 0x13,
  kHdf5DriverInfo = 0x14,
  kHdf5AttributeInfo = 0x15
};

struct Hdf5Message {
  uint16_t type = 0;
  bool shared = false;  // kept in the file's table of shared messages, which is not read: the data only say where
  std::string data;
  uint64_t address = 0;  // of the data
};

// All messages of the object whose header is at `address`. Those kept in another object's header are followed there.
Result<std::vector<Hdf5Message>> ReadHdf5Object(Hdf5File& file, uint64_t address);

// The message of a type to which the data of a shared one lead (a committed datatype); nullopt for one in the file's
// table.
Result<std::optional<Hdf5Message>> FollowHdf5Message(Hdf5File& file, uint16_t type, std::string_view data);

constexpr int64_t kHdf5Unlimited = -1;

struct Hdf5Space {
  Shape shape;
  Shape most;         // what each axis may grow to, or kHdf5Unlimited
  bool null = false;  // no elements at all, not even a scalar
};
Result<Hdf5Space> ParseHdf5Space(std::string_view data);

struct Hdf5LinkTo {
  std::string name;
  uint64_t address = kHdf5NoAddress;  // kHdf5NoAddress: a soft or external link
};

// The members of a group, in no order.
Result<std::vector<Hdf5LinkTo>> ReadHdf5Links(Hdf5File& file, const std::vector<Hdf5Message>& messages);

}  // namespace ckmap
