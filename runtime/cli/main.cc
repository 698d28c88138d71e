#include "runtime/cli/app.h"

int main(int argc, char** argv) { return ckmap::RunCkmap(argc, argv); }
