// A fuzz target without libFuzzer, for compilers that have none:
//
//     NAME FOLDER…                              runs every file of the folders: what fuzzing has found stays found
//     NAME --mutate SECONDS DICT FOLDER…        changes them at random, with the words of a dictionary; the input that
//                                                      is being run stands in ./NAME.input, should it end the program
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void Run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

// Words of libFuzzer's dictionaries: "…" with \xNN, \\ and \".
std::vector<std::string> ReadDictionary(const std::string& path) {
  std::vector<std::string> words;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) {
    if (line.size() < 2 || line.front() != '"') continue;
    std::string word;
    for (size_t i = 1; i + 1 < line.size(); ++i) {
      if (line[i] == '\\' && line[i + 1] == 'x') {
        word += static_cast<char>(std::strtol(line.substr(i + 2, 2).c_str(), nullptr, 16));
        i += 3;
      } else {
        if (line[i] == '\\') ++i;
        word += line[i];
      }
    }
    words.push_back(std::move(word));
  }
  return words;
}

class Mutator {
 public:
  Mutator(std::vector<std::string> seeds, std::vector<std::string> words)
      : seeds_(std::move(seeds)), words_(std::move(words)) {}

  std::string Next() {
    std::string text = seeds_[Pick(seeds_.size())];
    const size_t changes = 1 + Pick(8);
    for (size_t i = 0; i < changes; ++i) Change(text);
    if (text.size() > 20'000) text.resize(20'000);
    return text;
  }

 private:
  size_t Pick(size_t count) { return count == 0 ? 0 : random_() % count; }

  void Change(std::string& text) {
    const size_t at = Pick(text.size() + 1), length = std::min(text.size() - at, Pick(30));
    const std::string& other = seeds_[Pick(seeds_.size())];
    switch (Pick(7)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, text.substr(at, length));
        break;
      case 2:
        text.insert(at, other.substr(Pick(other.size()), Pick(60)));
        break;
      case 3:
        text.replace(at, length, words_.empty() ? "" : words_[Pick(words_.size())]);
        break;
      case 4:
        text.insert(at, words_.empty() ? "" : words_[Pick(words_.size())]);
        break;
      case 5:
        if (at < text.size()) text[at] = static_cast<char>(Pick(256));
        break;
      default:
        if (at < text.size() && text[at] >= '0' && text[at] <= '9')
          text.replace(at, 1, Pick(2) == 0 ? "99999999999" : "-1");
    }
  }

  std::mt19937_64 random_{20240601};
  std::vector<std::string> seeds_, words_;
};

}  // namespace

int main(int argc, char** argv) {
  const bool mutate = argc > 3 && std::strcmp(argv[1], "--mutate") == 0;
  std::vector<std::string> inputs;
  for (int i = mutate ? 4 : 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (entry.is_regular_file()) inputs.push_back(ReadFile(entry.path()));
    }
  }
  for (const std::string& input : inputs) Run(input);
  std::printf("%zu inputs\n", inputs.size());
  if (!mutate || inputs.empty()) return inputs.empty() ? 1 : 0;
  const std::string kept = std::filesystem::path(argv[0]).filename().string() + ".input";
  Mutator mutator(std::move(inputs), ReadDictionary(argv[3]));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[2]));
  size_t runs = 0;
  for (; std::chrono::steady_clock::now() < end; ++runs) {
    const std::string input = mutator.Next();
    std::ofstream(kept, std::ios::binary) << input;
    Run(input);
  }
  std::filesystem::remove(kept);
  std::printf("%zu changed inputs\n", runs);
  return 0;
}
