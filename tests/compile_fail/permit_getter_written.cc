// What a permit tells is a copy; changing it changes nothing.
// expect: using rvalue as lvalue|lvalue required
#include "law/send.h"

using namespace nora;
using namespace nora::law;

void redirect(Permit& permit) { permit.port().value = 22; }
