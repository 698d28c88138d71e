// Writes JSON text that any parser takes, and that is safe to print on a terminal: controls and
// other invisible characters are escaped, bytes that are no UTF-8 become U+FFFD, and numbers that
// JSON lacks become the strings "NaN", "Infinity" and "-Infinity".
//
//   JsonWriter json;
//   json.BeginObject().Key("name").String("fc.weight");
//   json.Key("shape").BeginArray().Int(10).EndArray().EndObject();
//   std::move(json).Finish();
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ckmap {

// The text as a JSON string, with its quotes.
std::string JsonString(std::string_view text);

// Calls must make one well-formed value; a break of that is our bug (CKMAP_CHECK).
class JsonWriter {
 public:
  JsonWriter& BeginObject();
  JsonWriter& EndObject();
  JsonWriter& BeginArray();
  JsonWriter& EndArray();
  JsonWriter& Key(std::string_view key);
  JsonWriter& String(std::string_view value);
  JsonWriter& Int(int64_t value);
  JsonWriter& Number(double value);  // the shortest text that reads back equal
  JsonWriter& Bool(bool value);
  JsonWriter& Null();

  // From here on, the innermost open array or object is laid out one element a line; by default
  // everything stands on one line. To be called right after Begin….
  JsonWriter& OnLines();

  // The text, ended by a line feed.
  std::string Finish() &&;

 private:
  struct Level {
    bool object = false;
    bool lines = false;
    bool has_key = false;  // Key was called, its value is due
    int64_t count = 0;
  };
  void BeforeValue();
  void Separate(Level& level);
  void Close(bool object, char bracket);
  void NewLine(size_t depth);

  std::string out_;
  std::vector<Level> levels_;
  bool done_ = false;
};

}  // namespace ckmap
