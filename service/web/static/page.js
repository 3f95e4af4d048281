// What the pages do beyond links and forms; without it, everything can still be read.
"use strict";
