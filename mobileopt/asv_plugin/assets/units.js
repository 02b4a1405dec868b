'use strict';
/* Seconds, bytes and fractions in the data, other units only here. The first ones take a cell of
   the data and give its text and, where there is one, the text of its interval; `scale` serves
   axes and columns, where every figure has the same unit. */
window.mobileopt.units = (function () {
    const SECONDS = [['s', 1], ['ms', 1e-3], ['\u00b5s', 1e-6], ['ns', 1e-9]];
    const BYTES = [['GB', 1e9], ['MB', 1e6], ['kB', 1e3], ['B', 1]];
    const COUNTS = [['G', 1e9], ['M', 1e6], ['k', 1e3], ['', 1]];

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

    /* A unit for figures about as large as `size`: {unit, text(value), figure(value)}. */
    function scale(unit, size) {
        const steps = {seconds: SECONDS, bytes: BYTES}[unit] || (size >= 1e4 ? COUNTS : [['', 1]]);
        const [prefix, by] = steps.find((each) => Math.abs(size) >= each[1]) || steps[steps.length - 1];
        const own = {seconds: '', bytes: '', unit: ''};
        const name = (prefix + ' ' + (unit in own ? '' : unit || '')).trim();
        function figure(value) {
            const scaled = Math.abs(value / by);
            if (scaled !== 0 && (scaled < 1e-3 || scaled >= 1e5)) {
                return (value / by).toExponential(2);
            }
            return (value / by).toFixed(Number.isInteger(value / by) && by === 1 ? 0 : digits(scaled));
        }
        return {unit: name, by: by, figure: figure,
                text: (value) => (figure(value) + ' ' + name).trim()};
    }

    /* A relative change with its sign; beyond a doubling a factor is easier to picture. */
    function change(size) {
        if (size === null) {
            return 'from nothing';
        }
        if (size >= 1) {
            return '\u00d7 ' + (1 + size).toFixed(size < 9 ? 2 : 0);
        }
        const percent = Math.abs(100 * size);
        return (size < 0 ? '\u2212' : '+') + percent.toFixed(percent < 9.95 ? 1 : 0) + ' %';
    }

    function day(milliseconds) {
        return new Date(milliseconds).toISOString().slice(0, 10);
    }

    return {milliseconds: milliseconds, bytes: bytes, decibels: decibels, agreement: agreement,
            speed: speed, scale: scale, change: change, day: day};
})();
