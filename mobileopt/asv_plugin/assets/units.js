'use strict';
/* Seconds, bytes and fractions in the data, other units only here. Each takes a cell of the data
   and gives its text and, where there is one, the text of its interval. */
window.mobileopt.units = (function () {
    function digits(value) {
        return value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3;
    }

    function milliseconds(cell) {
        const value = cell.value * 1e3;
        return [value.toFixed(digits(value)) + ' ms', interval(cell, digits(value))];
    }

    function interval(cell, places) {
        if (cell.low === undefined) {
            return null;
        }
        const low = (cell.low * 1e3).toFixed(places);
        const high = (cell.high * 1e3).toFixed(places);
        return low === high ? '\u00b1 0' : low + '\u2013' + high;
    }

    function bytes(cell) {
        const unit = [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]].find((each) => cell.value >= each[1]);
        if (!unit) {
            return [cell.value.toFixed(0) + ' B'];
        }
        const value = cell.value / unit[1];
        return [value.toFixed(Math.min(digits(value), 2)) + ' ' + unit[0]];
    }

    function decibels(cell) {
        return cell.value === 0 ? ['exact'] : [(-20 * Math.log10(cell.value)).toFixed(1) + ' dB'];
    }

    function agreement(cell) {
        return [(100 * (1 - cell.value)).toFixed(1) + ' %'];
    }

    function speed(value) {
        return value >= 1 ? value.toFixed(2) + 'x faster' : (1 / value).toFixed(2) + 'x slower';
    }

    return {milliseconds: milliseconds, bytes: bytes, decibels: decibels, agreement: agreement, speed: speed};
})();
