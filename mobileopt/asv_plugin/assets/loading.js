'use strict';
/* Loaded first: a script or style that does not arrive leads to asv's explanation of it. The
   error of an element does not bubble, so it is caught on its way down. */
window.addEventListener('error', function (event) {
    const tag = event.target.tagName;
    if (tag === 'SCRIPT' || (tag === 'LINK' && event.target.rel === 'stylesheet')) {
        window.location = 'error.html';
    }
}, true);
