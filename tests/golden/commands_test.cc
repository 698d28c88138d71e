#include <doctest/doctest.h>

#include "tests/support/golden.h"

TEST_CASE("commands") { ckmap::testing::RunGoldenFolder("commands", ckmap::testing::RunCommands); }
