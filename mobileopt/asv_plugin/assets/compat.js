'use strict';
/* asv's pages were written for jQuery 3.3.1 and Bootstrap 3.1.1. The versions served here close
   those two's known holes (Bootstrap 3.4.1 cleans the HTML of a tooltip, which asv fills with
   what result files say) and differ in two things asv counts on. */
(function ($) {
    /* jQuery 3.5 no longer closes <b/>; asv's list of benchmarks has exactly one such tag. */
    const prefilter = $.htmlPrefilter;
    $.htmlPrefilter = function (html) {
        return prefilter(html).replace('<b class="caret-right"/>', '<b class="caret-right"></b>');
    };

    /* Bootstrap 3.2 and later toggles a button of a group only through the input in it; asv's
       have none. Bootstrap 3.1.1, which names no version, still does. */
    const button = $.fn.button && $.fn.button.Constructor;
    if (button && button.VERSION) {
        const toggle = button.prototype.toggle;
        button.prototype.toggle = function () {
            const element = this.$element;
            const group = element.closest('[data-toggle="buttons"]');
            if (group.length && !element.find('input').length) {
                element.toggleClass('active');
            } else {
                toggle.call(this);
            }
        };
    }

    /* asv's buttons are links without an address, which a keyboard never reaches. */
    function reachable() {
        $('a.btn[role="button"]:not([href]):not([tabindex])').attr('tabindex', '0');
    }
    $(document).on('keydown', 'a.btn[role="button"]:not([href])', function (event) {
        if (event.key === 'Enter' || event.key === ' ') {
            event.preventDefault();
            this.click();
        }
    });
    $(document).ready(function () {
        reachable();
        new MutationObserver(reachable).observe(document.body, {childList: true, subtree: true});
    });
})(jQuery);
