// The center has no way to hold a subscriber.
// expect: a subscriber has no place outside src/isp/
#include "isp/line.h"

std::string who(const nora::isp::Subscriber& subscriber) { return subscriber.name; }
